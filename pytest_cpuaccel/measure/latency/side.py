"""A side: what takes part in a race."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Protocol

from pytest_cpuaccel.measure.latency.threads import threads_used
from pytest_cpuaccel.measure.latency.turn import Burst, TimedCall, Turn, settle, take_turn, time_call
from pytest_cpuaccel.measure.latency.warmup import warm_up


class Side(Protocol):
    """Makes the calls of one model, wherever it runs, and tells what they took by the clocks of that place."""

    def call_ns(self) -> float:
        """Make one call and return what it took."""

    def warm_up(self, cap_s: float) -> float:
        """Call until calls stop getting faster, or for ``cap_s`` seconds; return a typical call's ns."""

    def settle(self, burst: Burst) -> None:
        """Make the untimed calls of a burst, after which a turn may be taken."""

    def take_turn(self, burst: Burst) -> Turn:
        """Time one burst."""

    def threads_used(self, told: int) -> int | None:
        """Return how many threads a warm call runs on at once; None where that can't be known."""


@dataclass(frozen=True)
class LocalSide:
    """A side in this process: ``call`` takes no arguments and makes exactly one model call."""

    call: TimedCall

    def call_ns(self) -> float:
        """Make one call and return what it took."""
        return time_call(self.call)

    def warm_up(self, cap_s: float) -> float:
        """Call until calls stop getting faster, or for ``cap_s`` seconds; return a typical call's ns."""
        return warm_up(self.call, cap_s)

    def settle(self, burst: Burst) -> None:
        """Make the untimed calls of a burst, after which a turn may be taken."""
        settle(self.call, burst)

    def take_turn(self, burst: Burst) -> Turn:
        """Time one burst, with this process's CPU time and this thread's waiting."""
        return take_turn(self.call, burst)

    def threads_used(self, told: int) -> int | None:
        """Return how many threads a warm call runs on at once; None where that can't be known."""
        return threads_used(self.call, told)


@dataclass(frozen=True)
class Sides:
    """The two sides of a race."""

    candidate: Side
    reference: Side


def warm_up_both(sides: Sides, cap_s: float) -> float:
    """Warm both sides up; return the ns of a call typical of both.

    Both sides use one figure. Otherwise two equal sides near a boundary would get different bursts.
    """
    return sqrt(sides.candidate.warm_up(cap_s) * sides.reference.warm_up(cap_s))


def local_sides(candidate: TimedCall, reference: TimedCall) -> Sides:
    """Return two sides in this process."""
    return Sides(LocalSide(candidate), LocalSide(reference))
