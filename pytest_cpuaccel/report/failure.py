"""The text of a failed test: every failing verdict as a sentence, then its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome, Verdict

_OFF_BY = re.compile(r" is off by an? [^;,]*? of (?=[0-9])")


def failure_text(results: Iterable[Result], outcome: Outcome) -> str:
    """Return the sentences of the verdicts with this outcome, each with what is to be said of it indented below."""
    return "\n".join(
        "\n  ".join(_lines(verdict)) for result in results for verdict in result.verdicts if verdict.outcome is outcome
    )


def failure_reasons(results: Iterable[Result], outcome: Outcome) -> str:
    """Return the same sentences on one line, as short as can be.

    They begin with what is wrong: ``'logits' off by 3.0e+00, allowed 1.0e-06``. Backend and call are left out.
    """
    return "; ".join(
        _OFF_BY.sub(" off by ", verdict.sentence.removeprefix(f"{result.backend}: ").removeprefix(f"{result.call}: "))
        for result in results
        for verdict in result.verdicts
        if verdict.outcome is outcome
    )


def _lines(verdict: Verdict) -> tuple[str, ...]:
    hints = (f"hint: {found.sentence}" for found in verdict.diagnoses)
    return (verdict.sentence, *verdict.evidence, *hints, *verdict.notes)
