"""Preloads what in-process pytester runs must not import twice (numpy refuses a second import)."""

from __future__ import annotations

import importlib.util

import numpy as np  # noqa: F401

pytest_plugins = ["pytester"]

if importlib.util.find_spec("torch"):
    import torch  # noqa: F401
