"""Accuracy as flat facts."""

from __future__ import annotations

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.report.facts.scalars import Facts, count, number


def flat(measurement: AccuracyMeasurement) -> dict[str, Scalar]:
    """Return the facts of a measurement; single scores are left out."""
    return {
        "items": measurement.items,
        "score": measurement.score,
        "eager_score": measurement.eager_score,
        "drop": measurement.drop,
        "figure": figure(measurement),
    }


def read(facts: Facts) -> AccuracyMeasurement | None:
    """Return the measurement that facts hold; None where one is missing."""
    items = count(facts, "items")
    score, eager_score, drop = (number(facts, name) for name in ("score", "eager_score", "drop"))
    if items is None or score is None or eager_score is None or drop is None:
        return None
    return AccuracyMeasurement(items, score, eager_score, drop)


def figure(measurement: AccuracyMeasurement) -> str:
    """Return the short form for a table: ``0.942 (eager 0.947)``."""
    return f"{measurement.score:.3f} (eager {measurement.eager_score:.3f})"
