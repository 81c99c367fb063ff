"""One side's turn: a burst of timed calls, made once the side has settled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from statistics import fmean, median
from time import perf_counter_ns, process_time_ns

from pytest_cpuaccel.machine.run_queue import queued_ns

TimedCall = Callable[[], object]

LONG_CALL_NS = 5_000_000
"""A longer call refills the caches by itself, so nothing is discarded and it is timed once."""

SETTLING_CALLS = 8
SETTLING_NS = 8_000_000
"""After the other side's turn a short call takes up to four times as long, and one or two calls do not mend that.

Of calls of 0.07 to 1 ms the eighth is within a tenth of the latency that they settle at, under any backend; the third
is still 3 % (eager) to 70 % (OpenVINO) above it, by which OpenVINO's speed-ups looked a quarter smaller. Longer calls
settle after fewer, so that so many ms are enough.
"""

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
    """What one burst took.

    ``calls_ns`` are the wall ns per call of each reading. ``cpu_ns`` of process CPU time and ``queued_ns`` of
    waiting for a processor are means per call; ``switches`` counts preemptions.
    """

    calls_ns: tuple[float, ...]
    cpu_ns: float
    queued_ns: float
    switches: int

    @property
    def wall_ns(self) -> float:
        """The median reading."""
        return median(self.calls_ns)

    @property
    def mean_ns(self) -> float:
        """The mean reading, which CPU time and waiting add up to."""
        return fmean(self.calls_ns)


def burst_for(call_ns: float) -> Burst:
    """Return the burst for calls that take about ``call_ns``."""
    if call_ns >= LONG_CALL_NS:
        return Burst(discarded=0, timed=1, batch=1)
    discarded = min(SETTLING_CALLS, math.ceil(SETTLING_NS / call_ns))
    return Burst(discarded, timed=5, batch=max(1, math.ceil(SHORT_CALL_NS / call_ns)))


def time_call(call: TimedCall) -> int:
    """Return the ns that one call takes, including the release of what it returns."""
    started = perf_counter_ns()
    call()
    return perf_counter_ns() - started


def settle(call: TimedCall, burst: Burst) -> None:
    """Make the untimed calls of a burst, after which a turn may be taken."""
    for _ in range(burst.discarded * burst.batch):
        call()


def take_turn(call: TimedCall, burst: Burst) -> Turn:
    """Time one burst. What the kernel has to be asked for, at 2 us each, is read outside the timed calls."""
    reading = call if burst.batch == 1 else _repeated(call, burst.batch)
    switches = getrusage(RUSAGE_SELF).ru_nivcsw
    queued_before_ns = queued_ns()
    cpu_before_ns = process_time_ns()
    readings = [time_call(reading) for _ in range(burst.timed)]
    cpu_ns = process_time_ns() - cpu_before_ns
    waited_ns = queued_ns() - queued_before_ns
    calls = burst.timed * burst.batch
    return Turn(
        calls_ns=tuple(ns / burst.batch for ns in readings),
        cpu_ns=cpu_ns / calls,
        queued_ns=waited_ns / calls,
        switches=getrusage(RUSAGE_SELF).ru_nivcsw - switches,
    )


def _repeated(call: TimedCall, count: int) -> TimedCall:
    def repeat() -> None:
        for _ in range(count):
            call()

    return repeat
