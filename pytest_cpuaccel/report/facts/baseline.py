"""A workload held to a baseline as flat facts."""

from __future__ import annotations

import re
from math import inf
from typing import get_args

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement, How, RatioMeasurement
from pytest_cpuaccel.report.facts import race, self_check
from pytest_cpuaccel.report.facts.scalars import Facts, number, text

_INTERVAL = re.compile(r"\[(?P<low>[\d.]+), (?P<high>[\d.]+)\]")
_SEPARATOR = "; "


def flat(found: BaselineMeasurement) -> dict[str, Scalar]:
    """Return the numbers; what was not measured is left out."""
    facts: dict[str, Scalar] = {"name": found.name, "how": found.how, "allowed": found.limit}
    if found.race is not None:
        facts |= race.flat(found.race)
    if found.by_ratio is not None:
        facts |= {
            "ratio": found.by_ratio.ratio.value,
            "ratio_now": found.by_ratio.now.value,
            "ratio_then": found.by_ratio.then.value,
        }
    if shown := figure(found):
        facts["figure"] = shown
    if found.changes:
        facts["changes"] = _SEPARATOR.join(found.changes)
    return facts | self_check.flat(found.self_check)


def figure(found: BaselineMeasurement) -> str:
    """Return what was found in few words, for a table; "" where nothing could be measured."""
    if found.race is not None:
        return f"{found.race.estimate} as long"
    if found.by_ratio is not None:
        return f"{found.by_ratio.ratio} as long (by ratio)"
    return "unchanged" if found.how == "unchanged" else ""


def read(facts: Facts) -> BaselineMeasurement | None:
    """Return the measurement that facts tell of; None where there was none.

    What a ratio was to, and the intervals of the two behind it, they do not tell.
    """
    name, how, limit = text(facts, "name"), _how(facts), number(facts, "allowed")
    if name is None or how is None or limit is None:
        return None
    changes = text(facts, "changes")
    return BaselineMeasurement(
        name=name,
        how=how,
        limit=limit,
        changes=tuple(changes.split(_SEPARATOR)) if changes else (),
        race=race.read(facts) if how == "race" else None,
        by_ratio=_by_ratio(facts) if how == "ratio" else None,
        self_check=self_check.read(facts),
    )


def _how(facts: Facts) -> How | None:
    told = text(facts, "how")
    return next((how for how in get_args(How) if how == told), None)


def _by_ratio(facts: Facts) -> RatioMeasurement | None:
    ratio, now, then = (number(facts, name) for name in ("ratio", "ratio_now", "ratio_then"))
    if ratio is None or now is None or then is None:
        return None
    interval = _INTERVAL.search(text(facts, "figure") or "")
    low, high = (float(interval["low"]), float(interval["high"])) if interval else (0.0, inf)
    return RatioMeasurement(Estimate(ratio, low, high), Estimate(now), Estimate(then), versus="")
