"""Refusals among the rows of a run: the backends that ran no test at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pytest_cpuaccel.core.one_line import one_line
from pytest_cpuaccel.report.row import Row


def refusing_all(rows: Sequence[Row], ran: Collection[str], backends: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each of these backends that refused tests, and is not among those that ``ran`` one.

    A backend ran a test if a call of the model returned, and the test was not refused in the end.
    """
    for backend in backends:
        skipped = [row for row in rows if row.result.backend == backend and row.outcome == "skipped"]
        refused = [row.ending.reason for row in skipped if row.ending is not None and row.ending.kind == "refused"]
        if refused and backend not in ran:
            first = one_line(refused[0].removeprefix(f"{backend}: "))
            count = "the only test" if len(refused) == 1 else f"all {len(refused)} tests"
            yield f"{backend} refused {count} that called a model: {first}"
