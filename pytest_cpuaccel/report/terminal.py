"""What stands below the tests: the table, and the sentences of what could not be decided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import table

_PLACE = 2
"""Columns that say where a line belongs, model and call; the one after them is the backend."""
_RULE = 1
"""The line below the headings, which alone is as wide as the table."""


def summary(rows: Sequence[Row], notes: Iterable[str], width: float = math.inf) -> Iterator[tuple[str, str]]:
    """Yield lines with the colour they are written in ("" for none); the table is folded to fit ``width`` characters.

    Failures have had their say above; an INCONCLUSIVE verdict, which may not fail a test, has it here.
    """
    headings, lines = table(rows)
    if lines:
        whole = _text(headings, without_repeats(lines))
        shown = whole if len(whole[_RULE]) <= width else _folded(headings, lines, width)
        yield from ((line, _colour(line)) for line in shown)
    for row in rows:
        for sentence in row.sentences(Outcome.INCONCLUSIVE):
            yield f"INCONCLUSIVE {row.test}: {sentence}", "yellow"
    for note in notes:
        yield f"note: {note}", "yellow"


def without_repeats(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the lines with model and call left blank where they stand in the line above."""
    shown = [list(line) for line in lines]
    for above, line in zip(lines, shown[1:], strict=False):
        if line[0] == above[0]:
            line[:2] = ["", "" if line[1] == above[1] else line[1]]
    return shown


def _folded(headings: Sequence[str], lines: Sequence[Sequence[str]], width: float) -> Iterator[str]:
    """The table as several below each other: model and call get a line of their own, backends begin every table."""
    start = _PLACE + 1
    while start < len(headings):
        end = start + 1
        while end < len(headings) and len(_part(headings, lines, start, end + 1)[_RULE]) <= width:
            end += 1
        heading, rule, *body = _part(headings, lines, start, end)
        yield from ("", heading, rule) if start > _PLACE + 1 else (heading, rule)
        above: Sequence[str] = ()
        for line, shown in zip(lines, body, strict=True):
            if line[:_PLACE] != above:
                above = line[:_PLACE]
                yield f"{', '.join(above)}:"
            yield shown
        start = end


def _part(headings: Sequence[str], lines: Sequence[Sequence[str]], start: int, end: int) -> list[str]:
    first, *others = ([line[_PLACE], *line[start:end]] for line in (headings, *lines))
    return _text(first, others)


def _text(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    text: str = tabulate(lines, headings, tablefmt="simple", disable_numparse=True)
    return text.splitlines()


def _colour(line: str) -> str:
    if Outcome.FAIL.value in line and "(xfail)" not in line:
        return "red"
    return "yellow" if Outcome.INCONCLUSIVE.value in line else ""
