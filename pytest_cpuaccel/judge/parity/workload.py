"""The parity verdict on a workload, by the comparisons of its calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.parity.comparison import Comparison

_STALE = "but a fresh export answers right: the one in use was out of date and was thrown away; run the test again"
_CHANGED = "but a build made anew answers right: something that the model's answers hang on was changed meanwhile"


def shown_of(comparisons: Sequence[Comparison]) -> Comparison:
    """Return the comparison that a report shows: the last where all pass, else the first of the worst."""
    worst = Outcome.worst(comparison.outcome for comparison in comparisons)
    alike = [comparison for comparison in comparisons if comparison.outcome is worst]
    return alike[-1] if worst is Outcome.PASS else alike[0]


def workload_verdict(about: str, comparisons: Sequence[Comparison], fault: Diagnosis | None = None) -> Verdict:
    """Return the verdict on the worst call; a fault that was shown stands in the place of what the numbers hint at."""
    shown = shown_of(comparisons)
    number = sum(comparison.outcome is shown.outcome for comparison in comparisons)
    of_several = shown.outcome is not Outcome.PASS and len(comparisons) > 1
    of_calls = f" ({number} of {len(comparisons)} calls)" if of_several else ""
    found = Verdict(
        "parity",
        shown.outcome,
        f"{about}: {shown.sentence}{of_calls}",
        evidence=shown.evidence,
        diagnoses=shown.diagnoses,
        notes=shown.notes,
        measurement=replace(shown.summary, calls=len(comparisons)),
    )
    if fault is None:
        return found
    return replace(found, evidence=(*shown.evidence, *shown.notes), diagnoses=(fault,), notes=())


def stale_verdict(about: str, shown: Comparison, *, is_exported: bool) -> Verdict:
    """Return the verdict on a wrong answer that a build made anew does not give."""
    return Verdict(
        "parity",
        Outcome.INCONCLUSIVE,
        f"{about}: {shown.sentence}; {_STALE if is_exported else _CHANGED}",
        evidence=shown.evidence,
        diagnoses=shown.diagnoses,
        notes=shown.notes,
        measurement=shown.summary,
    )


def withholding(verdict: Verdict, budgets: Sequence[str]) -> Verdict:
    """Return a verdict that names the budgets which are not looked at because of it."""
    assert isinstance(verdict.measurement, ParitySummary)
    return replace(verdict, measurement=replace(verdict.measurement, withholds=tuple(budgets)))
