"""A pair: one turn of each side, in random order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns

from pytest_cpuaccel.measure.latency.side import Side, Sides
from pytest_cpuaccel.measure.latency.turn import Burst, Turn


@dataclass(frozen=True)
class Pair:
    """Both turns, which came first, and the seconds since the first pair began."""

    candidate: Turn
    reference: Turn
    candidate_first: bool
    elapsed_s: float

    @property
    def ratio(self) -> float:
        """Wall time, candidate over reference."""
        return self.candidate.wall_ns / self.reference.wall_ns

    @property
    def cpu_ratio(self) -> float:
        """Process CPU time, candidate over reference."""
        return self.candidate.cpu_ns / self.reference.cpu_ns


def take_pairs(sides: Sides, burst: Burst, seed: int) -> Iterator[Pair]:
    """Yield pairs without end, one straight after the other.

    The order within a pair is drawn anew each time, because the second turn is up to 7.5 % faster. If one side runs
    twice in a row, its warm-up calls are skipped the second time.
    """
    order = random.Random(seed)
    started = perf_counter_ns()
    settled: Side | None = None
    while True:
        candidate_first = order.random() < 0.5
        first, second = (sides.candidate, sides.reference) if candidate_first else (sides.reference, sides.candidate)
        if first is not settled:
            first.settle(burst)
        earlier = first.take_turn(burst)
        second.settle(burst)
        later = second.take_turn(burst)
        settled = second
        candidate, reference = (earlier, later) if candidate_first else (later, earlier)
        yield Pair(candidate, reference, candidate_first, (perf_counter_ns() - started) / 1e9)
