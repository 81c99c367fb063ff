"""The time that something takes once in a fresh process.

A start can't be repeated thousands of times, and other work can only slow it down. So the fastest of a few attempts
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_cpuaccel.core.measurement.startup import Attempt, StageTime, Starts
from pytest_cpuaccel.measure.latency.probe import SESSION_PROBE, TOLERANCE, Probe
from pytest_cpuaccel.measure.latency.quantile import quantile

ATTEMPTS = 3
"""How many processes are started at most."""

_PROBES = 15


def start_until(limit_ns: float, attempt: Callable[[], Attempt]) -> Starts:
    """Make attempts until one keeps the limit, ``ATTEMPTS`` at most."""
    made: list[Attempt] = []
    while len(made) < ATTEMPTS and not any(before.ns <= limit_ns for before in made):
        made.append(attempt())
    return Starts(tuple(made))


def attempt_of(stages: Sequence[StageTime], queued_ns: int) -> Attempt:
    """Return an attempt of these stages that is over just now: the machine is probed, which takes about 10 ms."""
    slowdown = machine_slowdown()
    ns = sum(stage.ns for stage in stages)
    return Attempt(ns, queued_ns, slowdown, undisturbed=slowdown <= 1 + TOLERANCE, stages=tuple(stages))


def machine_slowdown(probe: Probe = SESSION_PROBE) -> float:
    """Return the median time of a probe, run now, over its best of the session; about 10 ms."""
    times = [probe.time_ns() for _ in range(_PROBES)]
    return quantile(times, 0.5) / probe.best_ns
