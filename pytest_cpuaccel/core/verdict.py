"""The answer to one mark: PASS, FAIL or INCONCLUSIVE, one sentence, and its facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.parity_summary import ParitySummary

Measurement = ParitySummary
"""What verdicts of this kind stand on; the others still keep flat facts."""

Kind = Literal["parity", "accuracy", "latency", "baseline", "startup", "memory"]


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

    ``measurement`` is what was measured, where its kind has a type for that; else ``facts`` are the numbers behind it,
    scalars only: they travel through JUnit and xdist as they are. ``notes`` are said after the diagnoses.
    """

    kind: Kind
    outcome: Outcome
    sentence: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    measurement: Measurement | None = None
