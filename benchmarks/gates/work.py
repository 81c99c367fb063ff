"""Extra work inside a call: small matrix products."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pytest_cpuaccel.measure.latency.turn import TimedCall

DRIFT_PERIOD_S = 60.0
ROUND_NS = 500
"""About what a round takes; the first after a call takes some 2 us more."""


@dataclass(frozen=True)
class Work:
    """``rounds`` of products in every call, and up to ``drift_rounds`` more as time goes by."""

    rounds: int = 0
    drift_rounds: int = 0


def with_work(call: TimedCall, work: Work) -> TimedCall:
    """Return the call with the work before it; one without any is wrapped too, so that equal sides stay equal."""
    matrix = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    product = np.empty_like(matrix)

    def worked() -> object:
        for _ in range(work.rounds + round(work.drift_rounds * drift(time.time()))):
            np.dot(matrix, matrix, product)
        return call()

    return worked


def drift(clock_s: float) -> float:
    """Return how far the drift is, from 0 to 1 and back; the same in every process that looks at the clock."""
    phase = clock_s / DRIFT_PERIOD_S % 1
    return 2 * min(phase, 1 - phase)
