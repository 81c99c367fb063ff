"""A match: two sides, and what a gate in this process needs to judge them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.measure.latency.side import Side, Sides
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS

_WARMUP_CALLS = 10
_MANY, _FEW = 200, 30


@dataclass(frozen=True)
class Match:
    """``limit`` is the greatest allowed ratio; ``rebuild`` makes both sides anew."""

    sides: Sides
    rebuild: Callable[[], Sides]
    limit: float
    seed: int


def warm_calls(side: Side) -> int:
    """Warm a side up; return how many samples of it a gate with a fixed number takes: 200, of calls over 5 ms 30."""
    last_ns = min(side.call_ns() for _ in range(_WARMUP_CALLS))
    return _MANY if last_ns < LONG_CALL_NS else _FEW
