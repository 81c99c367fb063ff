"""A match: two sides, and what a gate in this process needs to judge them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS, Call, time_call

_WARMUP_CALLS = 10
_MANY, _FEW = 200, 30


@dataclass(frozen=True)
class Match:
    """``limit`` is the greatest allowed ratio; ``rebuild`` makes both sides anew."""

    sides: Sides
    rebuild: Callable[[], Sides]
    limit: float
    seed: int


def warm_calls(call: Call) -> int:
    """Warm a call up; return how many samples of it a gate with a fixed number takes: 200, of calls over 5 ms 30."""
    last_ns = min(time_call(call) for _ in range(_WARMUP_CALLS))
    return _MANY if last_ns < LONG_CALL_NS else _FEW
