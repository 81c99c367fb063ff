"""A value in a few words."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core.equality import is_exact

_MOST_SHOWN = 80
"""Characters of a value's text; of one that is longer, the first ones."""

_SHOWN = (type(None), float, complex, Decimal, Fraction, np.generic, set, frozenset, slice)


def describe(value: Any) -> str:
    """Return what a value is, in a few words."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    if is_exact(value) or isinstance(value, _SHOWN):
        text = repr(value)
        return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
    return f"a {type(value).__name__}"
