"""A workload held to another environment as flat facts."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from statistics import median
from typing import get_args

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    Environments,
    OfCandidate,
    Quantity,
    Resource,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number, text

_SEPARATOR = "; "


def flat_answers(found: AnswersMeasurement) -> dict[str, Scalar]:
    """Return what was found of both answers."""
    facts = {
        "off": found.candidate or None,
        "reference_off": found.reference or None,
        "move": None if found.move == inf else found.move,
        "first_token": found.first_token,
        "eager_off": found.eager or None,
        "obstacle": found.obstacle or None,
    }
    return _names(found.environments) | known(facts)


def read_answers(facts: Facts) -> AnswersMeasurement | None:
    """Return the measurement that facts tell of; None where there was none."""
    environments = _environments(facts)
    if environments is None:
        return None
    names = ("off", "reference_off", "eager_off", "obstacle")
    off, reference, eager, obstacle = (text(facts, name) or "" for name in names)
    move, first_token = number(facts, "move"), count(facts, "first_token")
    return AnswersMeasurement(environments, off, reference, move, first_token, eager, obstacle)


def flat(found: EnvironmentMeasurement) -> dict[str, Scalar]:
    """Return the numbers of a race; what was not measured is left out."""
    facts: dict[str, Scalar | None] = {
        "allowed": found.limit,
        "obstacle": found.obstacle or None,
        "alone": found.alone or None,
    }
    if (race := found.race) is not None:
        facts |= {
            "ratio": race.ratio,
            "ratio_low": race.interval[0],
            "ratio_high": None if race.interval[1] == inf else race.interval[1],
            "p50_ns": race.p50_ns,
            "reference_p50_ns": race.reference_p50_ns,
            "cpu_ratio": race.cpu_ratio,
            "processes": race.processes,
            "sweeps": race.sweeps,
            "seconds": race.seconds,
            "queued_share": race.queued_share,
            "threads": race.threads,
            "seed": race.seed,
            "shown": race.shown.value if race.shown else None,
            "reason": race.reason or None,
        }
    return _names(found.environments) | known(facts)


def read(facts: Facts) -> EnvironmentMeasurement | None:
    """Return the measurement that facts tell of; None where there was none. Levels of processes are not among them."""
    environments, limit = _environments(facts), number(facts, "allowed")
    if environments is None or limit is None:
        return None
    alone: OfCandidate = next((each for each in get_args(OfCandidate) if each == text(facts, "alone")), "")
    return EnvironmentMeasurement(environments, limit, _race(facts), text(facts, "obstacle") or "", alone)


def flat_resources(found: ResourcesMeasurement) -> dict[str, Scalar]:
    """Return the medians of both sides, in ns or bytes, and what was shown."""
    facts: dict[str, Scalar | None] = {"allowed": found.limit, "obstacle": found.obstacle or None}
    for each in found.resources:
        name = _fact(each.quantity)
        facts |= {
            name: median(each.candidate),
            f"reference_{name}": median(each.reference),
            f"{name}_shown": each.shown.value,
        }
    return _names(found.environments) | known(facts)


def read_resources(facts: Facts) -> ResourcesMeasurement | None:
    """Return the measurement that facts tell of, with the medians alone; None where there was none."""
    environments, limit = _environments(facts), number(facts, "allowed")
    if environments is None or limit is None:
        return None
    return ResourcesMeasurement(environments, limit, tuple(_resources(facts)), text(facts, "obstacle") or "")


def _resources(facts: Facts) -> Iterator[Resource]:
    quantities: tuple[Quantity, ...] = get_args(Quantity)
    for quantity in quantities:
        name = _fact(quantity)
        ours, theirs = number(facts, name), number(facts, f"reference_{name}")
        shown = next((each for each in Shown if each.value == text(facts, f"{name}_shown")), None)
        if ours is not None and theirs is not None and shown is not None:
            yield Resource(quantity, (ours,), (theirs,), shown)


def _fact(quantity: Quantity) -> str:
    unit = "ns" if quantity in ("cold start", "build") else "bytes"
    return f"{quantity.replace(' ', '_')}_{unit}"


def _race(facts: Facts) -> CrewRaceMeasurement | None:
    processes, seconds = count(facts, "processes"), number(facts, "seconds")
    if processes is None or seconds is None:
        return None
    shown = text(facts, "shown")
    high = number(facts, "ratio_high")
    return CrewRaceMeasurement(
        ratio=number(facts, "ratio"),
        interval=(number(facts, "ratio_low") or 0.0, inf if high is None else high),
        candidate_levels=(),
        reference_levels=(),
        processes=processes,
        sweeps=count(facts, "sweeps") or 0,
        seconds=seconds,
        p50_ns=number(facts, "p50_ns"),
        reference_p50_ns=number(facts, "reference_p50_ns"),
        cpu_ratio=number(facts, "cpu_ratio"),
        queued_share=number(facts, "queued_share") or 0.0,
        threads=count(facts, "threads") or 1,
        seed=count(facts, "seed") or 0,
        shown=next((each for each in Shown if each.value == shown), None),
        reason=text(facts, "reason") or "",
    )


def _names(environments: Environments) -> dict[str, Scalar]:
    changes = _SEPARATOR.join(environments.changes) or None
    return known({"candidate": environments.candidate, "reference": environments.reference, "changes": changes})


def _environments(facts: Facts) -> Environments | None:
    candidate, reference = text(facts, "candidate"), text(facts, "reference")
    if candidate is None or reference is None:
        return None
    changes = text(facts, "changes")
    return Environments(candidate, reference, tuple(changes.split(_SEPARATOR)) if changes else ())
