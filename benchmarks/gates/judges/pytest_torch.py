"""pytest-torch's latency check: the median of 20 calls after 5, against a recorded median."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from pytest_torch.perf import PerfStore, check_perf

from benchmarks.gates.judges.match import Match
from benchmarks.gates.trial import Ruling
from pytest_cpuaccel.core.verdict import Outcome


def judge(match: Match) -> Ruling:
    """Record the reference and check the candidate as its fixture ``perf_baseline`` does, with our limit.

    Its own limit, 25 % and 0.05 ms, is wider than any slowdown here.
    """
    started = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = PerfStore(Path(folder) / "baselines.json")
        reference = check_perf(store, "side", match.sides.reference, update=True)
        try:
            candidate = check_perf(
                store,
                "side",
                match.sides.candidate,
                strict=True,
                latency_tolerance=match.limit - 1,
                latency_slack_ms=0.0,
            )
        except AssertionError as regression:
            return Ruling("pytest-torch", Outcome.FAIL, _ratio_in(str(regression)), perf_counter() - started)
    ratio = candidate.latency_ms / reference.latency_ms
    return Ruling("pytest-torch", Outcome.PASS, ratio, perf_counter() - started)


def _ratio_in(text: str) -> float:
    """Return the ratio of the two latencies that a failure names: "regressed: 1.2 ms vs baseline 1.0 ms"."""
    numbers = text.partition("regressed: ")[2].replace("vs baseline", "").replace("ms", "").split()
    return float(numbers[0]) / float(numbers[1])
