"""Starts of fresh processes as flat facts: the fastest attempt with its stages, the others by their time alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.startup import Attempt, StageTime, Starts, StartupMeasurement
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number, text

_COLD_START, _BUILD = "cold_start", "build"


def flat(measurement: StartupMeasurement) -> dict[str, Scalar]:
    """Return the facts of a measurement."""
    return {**_flat(_COLD_START, measurement.cold_start), **_flat(_BUILD, measurement.build)}


def read(facts: Facts) -> StartupMeasurement | None:
    """Return the measurement that facts hold; None where they hold none."""
    measurement = StartupMeasurement(_read(_COLD_START, facts), _read(_BUILD, facts))
    return None if measurement == StartupMeasurement() else measurement


def _flat(task: str, starts: Starts | None) -> dict[str, Scalar]:
    if starts is None:
        return {}
    best = starts.best
    stages = {f"{task}_{stage.name.replace(' ', '_')}_ns": stage.ns for stage in best.stages}
    return known(
        {
            **stages,
            f"{task}_ns": best.ns,
            f"{task}_queued_ns": best.queued_ns,
            f"{task}_attempts_ns": " ".join(str(attempt.ns) for attempt in starts.attempts),
            f"{task}_probe_slowdown": best.slowdown,
        }
    )


def _read(task: str, facts: Facts) -> Starts | None:
    times = (text(facts, f"{task}_attempts_ns") or "").split()
    if not times or not all(time.isdecimal() for time in times):
        return None
    attempts = [Attempt(int(time)) for time in times]
    fastest = attempts.index(Starts(tuple(attempts)).best)
    attempts[fastest] = Attempt(
        attempts[fastest].ns,
        count(facts, f"{task}_queued_ns"),
        number(facts, f"{task}_probe_slowdown"),
        stages=tuple(_stages(task, facts)),
    )
    return Starts(tuple(attempts))


def _stages(task: str, facts: Facts) -> Iterator[StageTime]:
    for name in facts:
        found, ns = re.fullmatch(rf"{task}_(?!queued_)(?P<stage>\w+)_ns", name), count(facts, name)
        if found and ns is not None:
            yield StageTime(found["stage"].replace("_", " "), ns)
