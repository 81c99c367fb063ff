"""A value in a few words."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core.equality import is_exact

_MOST_SHOWN = 80
"""The most characters of a value's text that are shown; a longer text is cut."""

_SHOWN = (type(None), float, complex, Decimal, Fraction, np.generic, set, frozenset, slice)


def describe(value: Any) -> str:
    """Return a short description of a value."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    if is_exact(value) or isinstance(value, _SHOWN):
        text = repr(value)
        return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
    return f"a {type(value).__name__}"
