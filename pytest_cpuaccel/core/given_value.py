"""A value that a user gave, in a message."""

from __future__ import annotations

_LONGEST = 60


def shown(value: object) -> str:
    """Return a value as Python writes it, on one line and shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
