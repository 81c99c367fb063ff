"""The text of a failed test: every failing verdict as a sentence, then its evidence."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome


def failure_text(results: Iterable[Result], outcome: Outcome) -> str:
    """Return the sentences of the verdicts with this outcome, each with its evidence indented below it."""
    return "\n".join(
        "\n  ".join((verdict.sentence, *verdict.evidence, *(f"hint: {found.sentence}" for found in verdict.diagnoses)))
        for result in results
        for verdict in result.verdicts
        if verdict.outcome is outcome
    )
