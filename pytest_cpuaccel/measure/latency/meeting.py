"""A meeting: one pair of turns, by a candidate's process and a reference's, drawn in sweeps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns

from pytest_cpuaccel.measure.latency.crew import Crews
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.side import Side
from pytest_cpuaccel.measure.latency.turn import Burst, Turn


@dataclass(frozen=True)
class Meeting:
    """The places of both processes in their crews, and the pair that they made."""

    candidate: int
    reference: int
    pair: Pair

    @property
    def elapsed_s(self) -> float:
        """The seconds since the first pair began."""
        return self.pair.elapsed_s


def take_meetings(crews: Crews, burst: Burst, draw: random.Random) -> Iterator[Meeting]:
    """Yield meetings without end, sweep after sweep.

    In one sweep every process meets one of the other crew, matched at random, in random order within each pair. Never
    do two processes work at once.
    """
    started = perf_counter_ns()
    references = list(range(crews.size))
    while True:
        draw.shuffle(references)
        for candidate in draw.sample(range(crews.size), crews.size):
            reference = references[candidate]
            sides = crews.candidate.sides[candidate], crews.reference.sides[reference]
            candidate_first = draw.random() < 0.5
            ordered = sides if candidate_first else sides[::-1]
            turns = tuple(_turn(side, burst) for side in ordered)
            mine, other = turns if candidate_first else turns[::-1]
            elapsed_s = (perf_counter_ns() - started) / 1e9
            yield Meeting(candidate, reference, Pair(mine, other, candidate_first, elapsed_s))


def _turn(side: Side, burst: Burst) -> Turn:
    side.settle(burst)
    return side.take_turn(burst)
