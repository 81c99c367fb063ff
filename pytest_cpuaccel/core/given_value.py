"""A value that a user gave, in a message, or as a number."""

from __future__ import annotations

import math
from typing import Any

_LONGEST = 60


def shown(value: object) -> str:
    """Return a value as Python writes it, on one line and shortened."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of a user's class, or of an integer that is too long for Python to write
        is_long = isinstance(value, int)
        text = "a whole number of more digits than Python writes" if is_long else f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def number_of(value: Any) -> float | None:
    """Return what is one number, such as a tensor of one element, as a float; None for all else, texts included.

    An integer beyond the range of floats is infinite.
    """
    if isinstance(value, (str, bytes, complex)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError):
        return None
