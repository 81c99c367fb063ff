"""Welch's t test on the logarithms of a fixed number of calls, all of one side before all of the other."""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np
from scipy import stats

from benchmarks.gates.judges.match import Match, warm_calls
from benchmarks.gates.trial import Ruling
from pytest_cpuaccel.core.verdict import Outcome

_LEVEL = 0.05


def judge(match: Match) -> Ruling:
    """Test one-sided, at 5 %, that the geometric mean ratio is over the limit, and that it is under it."""
    started = perf_counter()
    calls = max(warm_calls(match.sides.reference), warm_calls(match.sides.candidate))
    reference = np.log([match.sides.reference.call_ns() for _ in range(calls)])
    candidate = np.log([match.sides.candidate.call_ns() for _ in range(calls)])
    shifted = candidate - math.log(match.limit)
    above = stats.ttest_ind(shifted, reference, equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(shifted, reference, equal_var=False, alternative="less").pvalue
    outcome = Outcome.FAIL if above < _LEVEL else Outcome.PASS if below < _LEVEL else Outcome.INCONCLUSIVE
    return Ruling("welch", outcome, math.exp(candidate.mean() - reference.mean()), perf_counter() - started)
