"""Why nothing was judged: a line for each backend and reason."""

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
        why = _told(reason, backend)
        yield f"{kind} {backend or 'no backend'} ({count} test{'s' * (count > 1)}): {why}"


def all_reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for whatever has no verdict, also where that is a failure: ``refused ort: not a model for it``."""
    ended = [(row.result.backend, row.ending) for row in rows if row.ending]
    lines = (f"{ending.kind} {backend}: {_told(ending.reason, backend)}" for backend, ending in ended)
    yield from dict.fromkeys(lines)


def _told(reason: str, backend: str) -> str:
    return one_line(reason.removeprefix(f"{backend}: "))
