"""Progress told to nobody."""

from __future__ import annotations


def say_nothing(text: str) -> None:
    """Report no progress."""
