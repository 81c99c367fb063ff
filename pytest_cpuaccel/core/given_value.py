"""A value that a user gave, in a message, or as a number."""

from __future__ import annotations

from typing import Any

_LONGEST = 60


def shown(value: object) -> str:
    """Return a value as Python writes it, on one line and shortened."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # of a whole number that is too long to be written as one
        text = "a whole number of more digits than Python writes"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def number_of(value: Any) -> float | None:
    """Return what is one number, such as a tensor of one element, as a float; None for all else, texts included."""
    if isinstance(value, (str, bytes, complex)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
