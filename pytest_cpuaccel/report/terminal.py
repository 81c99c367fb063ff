"""What stands below the tests: the table, and the sentences of what could not be decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.table import table


def summary(rows: Sequence[Row], notes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield lines with the colour they are written in ("" for none).

    Failures have had their say above; an INCONCLUSIVE verdict, which may not fail a test, has it here.
    """
    headings, lines = table(rows)
    if lines:
        text = tabulate(without_repeats(lines), headings, tablefmt="simple", disable_numparse=True)
        yield from ((line, _colour(line)) for line in text.splitlines())
    for row in rows:
        for sentence in row.sentences(Outcome.INCONCLUSIVE):
            yield f"INCONCLUSIVE {sentence}", "yellow"
    for note in notes:
        yield f"note: {note}", "yellow"


def without_repeats(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the lines with model and call left blank where they stand in the line above."""
    shown = [list(line) for line in lines]
    for above, line in zip(lines, shown[1:], strict=False):
        if line[0] == above[0]:
            line[:2] = ["", "" if line[1] == above[1] else line[1]]
    return shown


def _colour(line: str) -> str:
    if Outcome.FAIL.value in line and "(xfail)" not in line:
        return "red"
    return "yellow" if Outcome.INCONCLUSIVE.value in line else ""
