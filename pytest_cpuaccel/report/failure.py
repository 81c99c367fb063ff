"""The text of a failed test: every failing verdict as a sentence, then its evidence."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_cpuaccel.core.finding import Finding
from pytest_cpuaccel.core.verdict import Outcome


def failure_text(findings: Iterable[Finding], outcome: Outcome) -> str:
    """Return the sentences of the verdicts with this outcome, each with its evidence indented below it."""
    return "\n".join(
        "\n  ".join((verdict.sentence, *verdict.evidence))
        for finding in findings
        for verdict in finding.verdicts
        if verdict.outcome is outcome
    )
