"""One side's turn: a burst of timed calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter_ns, process_time_ns

Call = Callable[[], object]

LONG_CALL_NS = 5_000_000
"""A longer call refills the caches by itself, so nothing is discarded and it is timed once."""

SHORT_CALL_NS = 20_000
"""Shorter calls are timed in batches: a pair of clock readings costs about 100 ns."""


@dataclass(frozen=True)
class Burst:
    """How a turn is made up: untimed calls, then ``timed`` readings of ``batch`` calls each."""

    discarded: int
    timed: int
    batch: int


@dataclass(frozen=True)
class Turn:
    """What one burst took: ns per call for each reading, process CPU ns per call, and preemptions."""

    calls_ns: tuple[float, ...]
    cpu_ns: float
    switches: int

    @property
    def wall_ns(self) -> float:
        """The median reading."""
        return median(self.calls_ns)


def burst_for(call_ns: float) -> Burst:
    """Return the burst for calls that take about ``call_ns``."""
    if call_ns >= LONG_CALL_NS:
        return Burst(discarded=0, timed=1, batch=1)
    return Burst(discarded=1, timed=5, batch=max(1, math.ceil(SHORT_CALL_NS / call_ns)))


def time_call(call: Call) -> int:
    """Return the ns that one call takes, including the release of what it returns."""
    started = perf_counter_ns()
    call()
    return perf_counter_ns() - started


def take_turn(call: Call, burst: Burst) -> Turn:
    """Run one burst. CPU time and context switches are read once, outside the timed calls: they cost 2 us."""
    reading = call if burst.batch == 1 else _repeated(call, burst.batch)
    for _ in range(burst.discarded):
        reading()
    switches = getrusage(RUSAGE_SELF).ru_nivcsw
    cpu_started = process_time_ns()
    readings = [time_call(reading) for _ in range(burst.timed)]
    cpu_ns = process_time_ns() - cpu_started
    switches = getrusage(RUSAGE_SELF).ru_nivcsw - switches
    return Turn(
        calls_ns=tuple(ns / burst.batch for ns in readings),
        cpu_ns=cpu_ns / (burst.timed * burst.batch),
        switches=switches,
    )


def _repeated(call: Call, count: int) -> Call:
    def repeat() -> None:
        for _ in range(count):
            call()

    return repeat
