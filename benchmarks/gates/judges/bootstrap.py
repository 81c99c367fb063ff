"""A paired bootstrap of a fixed number of alternating calls."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.gates.judges.match import Match, warm_calls
from benchmarks.gates.trial import Ruling
from pytest_cpuaccel.core.verdict import Outcome

_RESAMPLES = 1999
_CONFIDENCE = 0.95


def judge(match: Match) -> Ruling:
    """Hold a 95 % percentile interval of the ratio of medians to the limit; one that contains it is inconclusive."""
    started = perf_counter()
    calls = max(warm_calls(match.sides.candidate), warm_calls(match.sides.reference))
    pairs = [(match.sides.candidate.call_ns(), match.sides.reference.call_ns()) for _ in range(calls)]
    candidate, reference = np.array(pairs, dtype=float).T
    found = stats.bootstrap(
        (candidate, reference),
        _ratio_of_medians,
        n_resamples=_RESAMPLES,
        paired=True,
        vectorized=True,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(match.seed),
    )
    low, high = found.confidence_interval
    outcome = Outcome.FAIL if low > match.limit else Outcome.PASS if high < match.limit else Outcome.INCONCLUSIVE
    return Ruling("bootstrap", outcome, float(_ratio_of_medians(candidate, reference)), perf_counter() - started)


def _ratio_of_medians(candidate: Any, reference: Any, axis: int = -1) -> Any:
    return np.median(candidate, axis=axis) / np.median(reference, axis=axis)
