"""Tests that need no torch: the environments of the core run them, and a stack beside them need not."""

from __future__ import annotations

OPTION = "--without-core"
