"""Why tests were skipped, or refused without failing: a line for each backend and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_cpuaccel.core.one_line import one_line
from pytest_cpuaccel.report.row import Row


def reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Yield lines such as ``skipped ort (3 tests): not today``."""
    quiet = [(row, row.ending) for row in rows if row.ending and not row.is_bad and row.outcome != "xfailed"]
    counts = Counter((ending.kind, row.result.backend, ending.reason) for row, ending in quiet)
    for (kind, backend, reason), count in counts.items():
        why = one_line(reason.removeprefix(f"{backend}: "))
        yield f"{kind} {backend or 'no backend'} ({count} test{'s' * (count > 1)}): {why}"
