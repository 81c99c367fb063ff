"""A block: at least 50 ms of calls on one side, of which one is drawn at random."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from time import perf_counter_ns

from pytest_cpuaccel.core.limit import Quantity
from pytest_cpuaccel.measure.latency.call_times import Read
from pytest_cpuaccel.measure.latency.turn import burst_for

BLOCK_NS = 50_000_000
"""Calls this far apart are close to independent; neighbours are not (autocorrelation 0.3 to 0.65)."""


@dataclass(frozen=True)
class Block:
    """Wall ns of each call by quantity, the place of the one drawn, the probe's ns before, seconds since the start."""

    calls_ns: Mapping[Quantity, tuple[float, ...]]
    drawn: int
    probe_ns: float
    switches: int
    elapsed_s: float

    def drawn_ns(self, quantity: Quantity) -> float:
        """Return what the drawn call took."""
        return self.calls_ns[quantity][self.drawn]


def take_blocks(read: Read, call_ns: float, probe: Callable[[], float], seed: int) -> Iterator[Block]:
    """Yield blocks without end. All have as many calls, or slow calls would be drawn more often."""
    count = math.ceil(BLOCK_NS / call_ns)
    discarded = burst_for(call_ns).discarded
    draw = random.Random(seed)
    started_ns = perf_counter_ns()
    while True:
        probe_ns = probe()
        for _ in range(discarded):
            read()
        switches = getrusage(RUSAGE_SELF).ru_nivcsw
        readings = [read() for _ in range(count)]
        switches = getrusage(RUSAGE_SELF).ru_nivcsw - switches
        elapsed_s = (perf_counter_ns() - started_ns) / 1e9
        calls_ns = {quantity: tuple(reading[quantity] for reading in readings) for quantity in readings[0]}
        yield Block(calls_ns, draw.randrange(count), probe_ns, switches, elapsed_s)
