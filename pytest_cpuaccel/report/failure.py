"""The text of a failed test: every failing verdict as a sentence, then its evidence."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome, Verdict


def failure_text(results: Iterable[Result], outcome: Outcome) -> str:
    """Return the sentences of the verdicts with this outcome, each with what is to be said of it indented below."""
    return "\n".join(
        "\n  ".join(_lines(verdict)) for result in results for verdict in result.verdicts if verdict.outcome is outcome
    )


def _lines(verdict: Verdict) -> tuple[str, ...]:
    hints = (f"hint: {found.sentence}" for found in verdict.diagnoses)
    return (verdict.sentence, *verdict.evidence, *hints, *verdict.notes)
