"""Text that fits a terminal: broken between words, and never within a command that is to be copied."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator

INDENT = " " * 4
UNBROKEN = "\N{NO-BREAK SPACE}"
"""A space at which no line ends; it is printed as any other space."""

_LEAST = 40
"""The fewest columns for the second column of a row; on a narrower terminal it stands below the first."""


def terminal_width() -> int:
    """Return the terminal's columns, or what ``COLUMNS`` says; 80 without a terminal."""
    return max(_LEAST, shutil.get_terminal_size().columns)


def paragraph(text: str, width: int) -> list[str]:
    """Return a text as lines; all but the first are indented."""
    return _wrapped(text, width, "", INDENT)


def row(name: str, text: str, column: int, width: int) -> list[str]:
    """Return a name and a text beside it, which begins in ``column`` on each line."""
    if width - column < _LEAST:
        return [name, *_wrapped(text, width, INDENT, INDENT)]
    return _wrapped(text, width, name.ljust(column - 1) + " ", " " * column)


def command(words: str, width: int) -> Iterator[str]:
    """Yield a command of the shell, indented; one that is too long goes on in the next line after a backslash."""
    line = ""
    for word in re.findall(r'"[^"]*"|\S+', words):
        if line and len(INDENT) + len(line) + len(word) + len("  \\") > width:
            yield f"{INDENT}{line} \\"
            line = f"{INDENT}{word}"
        else:
            line = f"{line} {word}" if line else word
    yield f"{INDENT}{line}"


def _wrapped(text: str, width: int, first: str, other: str) -> list[str]:
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(UNBROKEN, " ") for line in lines] or [first.rstrip()]
