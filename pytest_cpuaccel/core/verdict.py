"""The answer to one mark: PASS, FAIL or INCONCLUSIVE, one sentence, and its facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement
from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.core.measurement.memory import MemoryMeasurement
from pytest_cpuaccel.core.measurement.startup import StartupMeasurement
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.sensitivity import Sensitivity

Kind = Literal[
    "parity",
    "accuracy",
    "latency",
    "baseline",
    "startup",
    "memory",
    "kernels",
    "answers",
    "environment",
    "resources",
]
AGAINST_ANOTHER: frozenset[Kind] = frozenset({"answers", "environment", "resources"})
"""Kinds of verdicts on another environment."""

Measurement = (
    AccuracyMeasurement
    | AnswersMeasurement
    | BaselineMeasurement
    | EnvironmentMeasurement
    | KernelCensus
    | LatencyMeasurement
    | MemoryMeasurement
    | ParitySummary
    | ResourcesMeasurement
    | StartupMeasurement
)


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

    ``measurement`` holds the numbers behind it, None where nothing could be measured, and ``bounds`` what they show,
    where that was inferred from a sample. ``localization`` says where a wrong answer begins, if that was asked, and
    ``sensitivity`` which modules cost an answer in int8 or bf16 most.
    ``notes`` are said after the diagnoses.
    """

    kind: Kind
    outcome: Outcome
    sentence: str
    evidence: tuple[str, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    measurement: Measurement | None = None
    bounds: tuple[Bounds, ...] = ()
    localization: Localization | None = None
    sensitivity: Sensitivity | None = None
