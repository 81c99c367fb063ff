"""Text that is shown on one line."""

from __future__ import annotations

_LONGEST = 400


def one_line(text: str) -> str:
    """Return a text with its lines joined by spaces, cut after some 400 characters."""
    joined = " ".join(text.split())
    if len(joined) <= _LONGEST:
        return joined
    cut = joined[:_LONGEST]
    return f"{cut.rpartition(' ')[0] or cut} ..."


def printable(text: str) -> str:
    """Return a text of a stranger without what moves a terminal's cursor or hides words."""
    return "".join(character if character.isprintable() else " " for character in text)
