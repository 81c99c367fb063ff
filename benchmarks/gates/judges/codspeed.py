"""pytest-codspeed's wall-time mode. It measures offline but compares nothing: its results go to a service.

So its figures are held to the limit here: the best time, which it prints, and the median, which it saves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gates.contest import Contest
from benchmarks.gates.judges.session import SuiteRun, run_session
from benchmarks.gates.trial import Ruling, ruling_of

_STATISTICS = {"median": "median_ns", "min": "min_ns"}


def judge_all(contests: Sequence[Contest], limit: int, folder: Path, cache: Path) -> Iterator[list[Ruling]]:
    """Yield the rulings on each contest by median and by minimum; the limit is per cent."""
    reference, theirs = _measure(contests, "reference", folder, cache)
    candidate, ours = _measure(contests, "candidate", folder, cache)
    for number in range(len(contests)):
        seconds = candidate.seconds[number] + reference.seconds[number]
        yield [
            ruling_of(
                f"pytest-codspeed {statistic}", ours[number][field] / theirs[number][field], 1 + limit / 100, seconds
            )
            for statistic, field in _STATISTICS.items()
        ]


def _measure(
    contests: Sequence[Contest], side: str, folder: Path, cache: Path
) -> tuple[SuiteRun, list[dict[str, Any]]]:
    own = folder / side
    options = ("-p", "pytest_codspeed.plugin", "--codspeed", "--codspeed-mode=walltime")
    session = run_session(contests, side, own, cache, *options)
    (file,) = own.glob(".codspeed/results_*.json")
    return session, [item["stats"] for item in json.loads(file.read_text())["benchmarks"]]
