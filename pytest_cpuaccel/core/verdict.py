"""The answer to one mark: PASS, FAIL or INCONCLUSIVE, one sentence, and its facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.memory import MemoryMeasurement
from pytest_cpuaccel.core.measurement.startup import StartupMeasurement

Kind = Literal["parity", "accuracy", "latency", "baseline", "startup", "memory"]
Measurement = AccuracyMeasurement | BaselineMeasurement | LatencyMeasurement | MemoryMeasurement | StartupMeasurement
"""What verdicts of these kinds stand on; the others still keep flat facts."""


class Outcome(str, Enum):
    """Three words, of which INCONCLUSIVE means "could not be measured" and never "slower"."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def severity(self) -> int:
        """Return how bad it is: 0 for PASS, 1 for INCONCLUSIVE, 2 for FAIL."""
        return (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL).index(self)

    @staticmethod
    def worst(outcomes: Iterable[Outcome]) -> Outcome:
        """Return the worst of one outcome or more."""
        return max(outcomes, key=lambda outcome: outcome.severity)


@dataclass(frozen=True)
class Verdict:
    """``sentence`` holds both numbers, what was found and what was allowed; ``evidence`` the lines below it.

    ``measurement`` holds the numbers behind it, and ``bounds`` what they show, where that was inferred from a sample. A
    verdict of a kind that has no such type yet keeps them as ``facts``, scalars only.
    """

    kind: Kind
    outcome: Outcome
    sentence: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    measurement: Measurement | None = None
    bounds: tuple[Bounds, ...] = ()
