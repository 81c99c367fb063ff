"""Seconds that something takes once in a fresh process, held to a budget.

Such a thing can't be repeated thousands of times, and all that else goes on can only make it slower: so the
fastest of a few attempts counts. PASS needs one that keeps the budget. FAIL needs that none does, not even the
fastest less the time that it queued for a processor, while a probe shows that the machine was itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.probe import SESSION_PROBE, TOLERANCE, Probe
from pytest_cpuaccel.measure.latency.quantile import quantile

ATTEMPTS = 3
"""How many processes are started at most."""

_PROBES = 15


@dataclass(frozen=True)
class Attempt:
    """``queued_ns`` of its ``ns`` went by waiting for a processor; ``slowdown`` is a probe's time over its best."""

    ns: int
    queued_ns: int
    slowdown: float


@dataclass(frozen=True)
class SecondsHeld:
    """``reason`` says how the outcome follows from the attempts."""

    outcome: Outcome
    attempts: tuple[Attempt, ...]
    reason: str

    @property
    def best(self) -> Attempt:
        """Return the fastest attempt."""
        return min(self.attempts, key=lambda attempt: attempt.ns)


def hold_seconds(attempt: Callable[[], Attempt], budget_ns: int) -> SecondsHeld:
    """Make attempts until one keeps the budget, ``ATTEMPTS`` at most; return the verdict."""
    taken: list[Attempt] = []
    while len(taken) < ATTEMPTS and not any(made.ns <= budget_ns for made in taken):
        taken.append(attempt())
    outcome, reason = _settled(taken, budget_ns)
    return SecondsHeld(outcome, tuple(taken), reason)


def machine_slowdown(probe: Probe = SESSION_PROBE) -> float:
    """Return the median time of a probe, run now, over its best of the session; about 10 ms."""
    times = [probe.time_ns() for _ in range(_PROBES)]
    return quantile(times, 0.5) / probe.best_ns


def _settled(taken: list[Attempt], budget_ns: int) -> tuple[Outcome, str]:
    if taken[-1].ns <= budget_ns:
        return Outcome.PASS, f"attempt {len(taken)} kept it"
    unqueued_ns = min(made.ns - made.queued_ns for made in taken)
    if unqueued_ns <= budget_ns:
        return Outcome.INCONCLUSIVE, f"but {format_duration(unqueued_ns)} without waiting for a processor"
    slowdown = min(made.slowdown for made in taken)
    if slowdown > 1 + TOLERANCE:
        return Outcome.INCONCLUSIVE, f"but the machine was not itself: a probe took {slowdown:.2f} times its best"
    return Outcome.FAIL, f"the fastest of {len(taken)} fresh processes"
