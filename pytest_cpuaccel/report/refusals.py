"""Refusals among the rows of a run: the backends that ran no test at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pytest_cpuaccel.report.row import Row


def refusing_all(rows: Sequence[Row], backends: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each of these backends that refused every test which was not skipped for another reason."""
    for backend in backends:
        own = [row for row in rows if row.result.backend == backend]
        skipped = [row for row in own if row.outcome == "skipped"]
        refused = [row.ending.reason for row in skipped if row.ending is not None and row.ending.kind == "refused"]
        if refused and len(skipped) == len(own):
            first = refused[0].partition("\n")[0].removeprefix(f"{backend}: ")
            count = "its only test" if len(refused) == 1 else f"all its {len(refused)} tests"
            yield f"{backend} refused {count}: {first}"
