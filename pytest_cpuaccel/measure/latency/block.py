"""A block: at least 50 ms of calls on one side, of which one is drawn at random."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from time import perf_counter_ns

from pytest_cpuaccel.measure.latency.turn import Call, burst_for, time_call

BLOCK_NS = 50_000_000
"""Calls this far apart are close to independent; neighbours are not (autocorrelation 0.3 to 0.65)."""


@dataclass(frozen=True)
class Block:
    """Wall ns of each call and of the one drawn, the probe's ns before, seconds since the first block."""

    calls_ns: tuple[int, ...]
    drawn_ns: int
    probe_ns: float
    switches: int
    elapsed_s: float


def take_blocks(call: Call, call_ns: float, probe: Callable[[], float], seed: int) -> Iterator[Block]:
    """Yield blocks without end. All have as many calls, or slow calls would be drawn more often."""
    count = math.ceil(BLOCK_NS / call_ns)
    discarded = burst_for(call_ns).discarded
    draw = random.Random(seed)
    started_ns = perf_counter_ns()
    while True:
        probe_ns = probe()
        for _ in range(discarded):
            call()
        switches = getrusage(RUSAGE_SELF).ru_nivcsw
        calls_ns = tuple(time_call(call) for _ in range(count))
        switches = getrusage(RUSAGE_SELF).ru_nivcsw - switches
        elapsed_s = (perf_counter_ns() - started_ns) / 1e9
        yield Block(calls_ns, draw.choice(calls_ns), probe_ns, switches, elapsed_s)
