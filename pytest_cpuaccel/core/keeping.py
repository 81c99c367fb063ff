"""How much is kept in memory from test to test."""

from __future__ import annotations

REFERENCES_BYTES = 256 * 10**6
"""Eager's answers, in all precisions: the same calls come again under the next backend."""
