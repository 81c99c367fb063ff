"""What stands below the tests: the table, and the sentences of what could not be decided or judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from tabulate import tabulate

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.kernels import first_of_each_backend
from pytest_cpuaccel.report.reasons import reasons
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import table

_RULE = 1
"""The line below the headings, which alone is as wide as the table."""

_COLOURS = {Outcome.INCONCLUSIVE.value: "yellow", "skipped": "yellow"}


def summary(
    rows: Sequence[Row],
    notes: Iterable[str],
    width: float = math.inf,
    reasons_of: Callable[[Sequence[Row]], Iterator[str]] = reasons,
) -> Iterator[tuple[str, str]]:
    """Yield lines with the colour they are written in ("" for none); the table is folded to fit ``width`` characters.

    Failures have had their say above. An INCONCLUSIVE verdict, which may not fail a test, has it here. Skipped tests
    are told of by backend and reason, which are the lines of ``reasons_of``; those that passed without a mark are
    left out.
    """
    judged = [row for row in rows if row.is_judged]
    if judged:
        yield from _Table(judged).shown(width)
    yield from ((line, "") for line in first_of_each_backend(judged))
    for row in judged:
        for verdict in row.verdicts(Outcome.INCONCLUSIVE):
            yield f"INCONCLUSIVE {row.test}: {verdict.sentence}", "yellow"
    yield from ((line, "yellow") for line in reasons_of(judged))
    for note in notes:
        yield f"note: {note}", "yellow"


def without_repeats(lines: Sequence[Sequence[str]], place: int) -> list[list[str]]:
    """Return the lines with the first ``place`` cells left blank as far as they stand in the line above."""
    shown = [list(line) for line in lines]
    for above, line in zip(lines, shown[1:], strict=False):
        alike = next((index for index in range(place) if line[index] != above[index]), place)
        line[:alike] = [""] * alike
    return shown


class _Table:
    """``place`` is the number of columns that say where a line belongs; the one after them is the backend."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.headings, self.lines = table(rows)
        self.place = self.headings.index("backend")
        self.colours = list(map(_colour, rows))

    def shown(self, width: float) -> Iterator[tuple[str, str]]:
        """Yield its lines with their colours."""
        whole = _text(self.headings, without_repeats(self.lines, self.place))
        if len(whole[_RULE]) <= width:
            yield from zip(whole, ("", "", *self.colours), strict=True)
        else:
            yield from self._folded(width)

    def _folded(self, width: float) -> Iterator[tuple[str, str]]:
        """Yield it as several, one below the other: every place gets a line of its own, backends begin every table."""
        start = self.place + 1
        while start < len(self.headings):
            end = start + 1
            while end < len(self.headings) and len(self._part(start, end + 1)[_RULE]) <= width:
                end += 1
            heading, rule, *body = self._part(start, end)
            yield from ((line, "") for line in ("", heading, rule)[start == self.place + 1 :])
            above: Sequence[str] = ()
            for line, shown, colour in zip(self.lines, body, self.colours, strict=True):
                if line[: self.place] != above:
                    above = line[: self.place]
                    yield f"{', '.join(filter(None, above)) or 'no call'}:", ""
                yield shown, colour
            start = end

    def _part(self, start: int, end: int) -> list[str]:
        first, *others = ([line[self.place], *line[start:end]] for line in (self.headings, *self.lines))
        return _text(first, others)


def _text(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    text: str = tabulate(lines, headings, tablefmt="simple", disable_numparse=True)
    return text.splitlines()


def _colour(row: Row) -> str:
    return "red" if row.is_bad else _COLOURS.get(row.word, "")
