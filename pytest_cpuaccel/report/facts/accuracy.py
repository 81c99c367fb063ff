"""Accuracy as flat facts."""

from __future__ import annotations

import json
from dataclasses import asdict

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, Flip
from pytest_cpuaccel.report.facts.scalars import Facts, count, known, number, text


def flat(measurement: AccuracyMeasurement) -> dict[str, Scalar]:
    """Return the facts of a measurement; single scores are left out, but for those of items that flipped."""
    flipped = [known(asdict(flip)) for flip in measurement.flipped]
    return known(
        {
            "items": measurement.items,
            "given_items": measurement.given,
            "metric": measurement.metric,
            "score": measurement.score,
            "eager_score": measurement.eager_score,
            "drop": measurement.drop,
            "figure": figure(measurement),
            "flipped": json.dumps(flipped) if flipped else None,
        }
    )


def read(facts: Facts) -> AccuracyMeasurement | None:
    """Return the measurement that facts hold; None where one is missing."""
    items = count(facts, "items")
    score, eager_score, drop = (number(facts, name) for name in ("score", "eager_score", "drop"))
    if items is None or score is None or eager_score is None or drop is None:
        return None
    flipped = tuple(Flip(**found) for found in json.loads(text(facts, "flipped") or "[]"))
    given, metric = count(facts, "given_items"), text(facts, "metric")
    return AccuracyMeasurement(items, score, eager_score, drop, flipped=flipped, given=given, metric=metric)


def figure(measurement: AccuracyMeasurement) -> str:
    """Return the short form for a table: ``0.942 (eager 0.947)``, and after how many items if not after all."""
    early = f"; {measurement.items} of {measurement.given} items" if measurement.is_early else ""
    return f"{measurement.score:.3f} (eager {measurement.eager_score:.3f}{early})"
