"""What a report shows of a comparison."""

from __future__ import annotations

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.report.facts.parity import flat


def lines(found: Comparison) -> tuple[str, ...]:
    """Return the lines below the sentence."""
    return (*found.evidence, *(f"hint: {diagnosis.sentence}" for diagnosis in found.diagnoses), *found.notes)


def facts(found: Comparison) -> dict[str, Scalar]:
    """Return the facts of its summary."""
    return flat(found.summary)
