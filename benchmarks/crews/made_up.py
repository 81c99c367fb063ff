"""Made-up processes: what their calls take is drawn, so that the true ratio is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pytest_cpuaccel.measure.latency.crew import Crew, Crews
from pytest_cpuaccel.measure.latency.turn import Burst, Turn

Effect = Callable[[random.Random, int], float]
"""From a generator and a process's place in its crew: the log of how far it is off its environment."""


@dataclass(frozen=True)
class Noise:
    """Of one turn: standard deviations of logs by wall clock and by CPU time.

    ``memory`` is the correlation of wall-clock noise with that of the turn before, whoever's it was.
    """

    wall: float
    cpu: float
    memory: float = 0.0


@dataclass
class Machine:
    """The noise that all processes have in common: each turn goes on where the one before left it."""

    noise: Noise
    draw: random.Random
    _state: float = field(default=0.0)

    def turn(self, call_ns: float) -> Turn:
        """Return a turn of calls that take so long on a quiet machine; what is not CPU time is queued."""
        noise, fresh = self.noise, self.draw.gauss(0, 1)
        self._state = noise.memory * self._state + math.sqrt(1 - noise.memory**2) * fresh
        wall_ns = call_ns * math.exp(noise.wall * self._state)
        cpu_ns = call_ns * math.exp(noise.cpu * self.draw.gauss(0, 1))
        return Turn((wall_ns,), cpu_ns, max(0.0, wall_ns - cpu_ns), 0)


@dataclass(frozen=True)
class MadeUpSide:
    """A process whose calls take ``own_ns`` on a quiet machine."""

    machine: Machine
    own_ns: float

    def call_ns(self) -> float:
        """Return what one call took."""
        return self.machine.turn(self.own_ns).wall_ns

    def warm_up(self, cap_s: float) -> float:
        """Return a typical call's ns."""
        del cap_s
        return self.own_ns

    def settle(self, burst: Burst) -> None:
        """Need no settling."""

    def take_turn(self, burst: Burst) -> Turn:
        """Return one turn, of one reading whatever the burst."""
        del burst
        return self.machine.turn(self.own_ns)

    def threads_used(self, told: int) -> int | None:
        """Use what was told."""
        return told


@dataclass(frozen=True)
class Environments:
    """Two environments whose calls take ``call_ns`` and ``ratio`` times as long, apart from processes' effects."""

    ratio: float
    call_ns: float
    effects: tuple[Effect, Effect]
    noise: Noise

    def grow(self, seed: int) -> Callable[[int], Crews]:
        """Return what starts processes."""
        draw = random.Random(seed)
        machine = Machine(self.noise, draw)
        candidates, references = (
            self._processes(machine, effect, ratio * self.call_ns)
            for effect, ratio in zip(self.effects, (self.ratio, 1.0), strict=True)
        )
        alive = Crews(Crew(()), Crew(()))

        def grow(size: int) -> Crews:
            nonlocal alive
            more = size - alive.size
            alive = Crews(
                Crew(alive.candidate.sides + tuple(next(candidates) for _ in range(more))),
                Crew(alive.reference.sides + tuple(next(references) for _ in range(more))),
            )
            return alive

        return grow

    @staticmethod
    def _processes(machine: Machine, effect: Effect, call_ns: float) -> Iterator[MadeUpSide]:
        place = 0
        while True:
            yield MadeUpSide(machine, call_ns * math.exp(effect(machine.draw, place)))
            place += 1
