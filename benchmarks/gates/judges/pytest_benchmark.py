"""pytest-benchmark, saving one side and comparing the other with ``--benchmark-compare-fail``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gates.contest import Contest
from benchmarks.gates.judges.session import run_session
from benchmarks.gates.trial import Ruling
from pytest_cpuaccel.core.verdict import Outcome

_STATISTICS = ("median", "min")
_REGRESSED = re.compile(r"test_side\[(\d+)\].* - Field '(\w+)' has failed")


def judge_all(contests: Sequence[Contest], limit: int, folder: Path, cache: Path) -> Iterator[list[Ruling]]:
    """Yield the rulings on each contest by ``median:LIMIT%`` and by ``min:LIMIT%``; the limit is per cent."""
    plugin = ("-p", "pytest_benchmark.plugin", f"--benchmark-storage={folder}")
    reference = run_session(contests, "reference", folder, cache, *plugin, "--benchmark-save=reference")
    failing = [f"{statistic}:{limit}%" for statistic in _STATISTICS]
    candidate = run_session(
        contests,
        "candidate",
        folder,
        cache,
        *plugin,
        "--benchmark-save=candidate",
        "--benchmark-compare=0001",
        "--benchmark-compare-fail",
        *failing,
    )
    alarms = {(int(number), statistic) for number, statistic in _REGRESSED.findall(candidate.output)}
    if ("Performance has regressed" in candidate.output) != bool(alarms):
        raise RuntimeError(f"pytest-benchmark said something unexpected:\n{candidate.output}")
    measured = zip(_saved(folder, "candidate"), _saved(folder, "reference"), strict=True)
    seconds = [sum(both) for both in zip(candidate.seconds, reference.seconds, strict=True)]
    for number, (ours, theirs) in enumerate(measured):
        yield [
            Ruling(
                f"pytest-benchmark {statistic}",
                Outcome.FAIL if (number, statistic) in alarms else Outcome.PASS,
                ours[statistic] / theirs[statistic],
                seconds[number],
            )
            for statistic in _STATISTICS
        ]


def _saved(folder: Path, name: str) -> list[dict[str, Any]]:
    (file,) = folder.glob(f"*/*_{name}.json")
    return [item["stats"] for item in json.loads(file.read_text())["benchmarks"]]
