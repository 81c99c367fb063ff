"""The cells of the simulation: how processes differ, and how noisy the machine is."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from benchmarks.crews.made_up import Effect, Environments, Noise

SHORT_NS, LONG_NS = 1e6, 20e6
"""Of long calls CPU time is asked too."""

QUIET = Noise(wall=0.02, cpu=0.01)
DRIFTING = Noise(wall=0.03, cpu=0.01, memory=0.9)
CROWDED = Noise(wall=0.24 / math.sqrt(2), cpu=0.03 / math.sqrt(2))
"""Wall times of a pair scatter by 24 %, CPU times by 3 %."""


def spread(sd: float) -> Effect:
    """Return normal effects of a process."""

    def effect(draw: random.Random, place: int) -> float:
        del place
        return draw.gauss(0, sd)

    return effect


def half_slower(draw: random.Random, place: int) -> float:
    """Every other process, by chance, is 8 % slower."""
    del place
    return math.log(1.08) * (draw.random() < 0.5)


def first_is_off(draw: random.Random, place: int) -> float:
    """The first process is 9 % slower; the others differ by 0.5 %."""
    return math.log(1.09) * (place == 0) + draw.gauss(0, 0.005)


def one_in_a_hundred_is_off(draw: random.Random, place: int) -> float:
    """Every hundredth process, by chance, is 8.8 % slower; the others differ by 0.5 %."""
    del place
    return math.log(1.088) * (draw.random() < 0.01) + draw.gauss(0, 0.005)


@dataclass(frozen=True)
class Cell:
    """What a simulated race is held under."""

    name: str
    effects: tuple[Effect, Effect]
    noise: Noise
    call_ns: float = SHORT_NS

    def environments(self, ratio: float) -> Environments:
        """Return two environments of which the candidate takes ``ratio`` times as long."""
        return Environments(ratio, self.call_ns, self.effects, self.noise)


def _alike(effect: Effect) -> tuple[Effect, Effect]:
    return effect, effect


CELLS = (
    Cell("processes equal", _alike(spread(0.0)), QUIET),
    Cell("sd 0.5 %", _alike(spread(0.005)), QUIET),
    Cell("sd 1 %", _alike(spread(0.01)), QUIET),
    Cell("sd 2 %", _alike(spread(0.02)), QUIET),
    Cell("one candidate in a crew 9 % off", (first_is_off, spread(0.005)), QUIET),
    Cell("one reference in a crew 9 % off", (spread(0.005), first_is_off), QUIET),
    Cell("one process in a hundred 8.8 % off", _alike(one_in_a_hundred_is_off), QUIET),
    Cell("half of all processes 8 % slower", _alike(half_slower), QUIET),
    Cell("sd 1 %, noise with memory", _alike(spread(0.01)), DRIFTING),
    Cell("sd 0.5 %, pairs of 24 %, short calls", _alike(spread(0.005)), CROWDED),
    Cell("sd 0.5 %, pairs of 24 %, long calls", _alike(spread(0.005)), CROWDED, LONG_NS),
    Cell("sd 1 %, pairs of 24 %, calls of 100 ms", _alike(spread(0.01)), CROWDED, 100e6),
)
