"""What it costs to call a model through ``cpu_model``, which records every call, over the bare backend call.

Run with ``python -m benchmarks.recorder`` (about half a minute).

The two are raced on equal terms, under the eager backend, which adds nothing of its own. What the latency mark
times is the bare call.
"""

# ruff: noqa: T201

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import torch

from benchmarks.contestants import MODELS
