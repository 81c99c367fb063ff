"""The parity verdict on a workload: every call held to what the reference returns for it in eager mode."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.accusation import accusation
from pytest_cpuaccel.judge.court import Court
from pytest_cpuaccel.judge.generation import compare_generated
from pytest_cpuaccel.judge.trial import Trial
from pytest_cpuaccel.judge.workload import Workload
from pytest_cpuaccel.measure.parity.comparison import Comparison, References, compare
from pytest_cpuaccel.measure.parity.defaults import COMPRESSED
from pytest_cpuaccel.measure.parity.hints import HINT


def judge_parity(workload: Workload, trial: Trial, budget: ParityBudget, court: Court) -> Verdict:
    """Return the verdict on the worst call of a workload.

    Raises:
        EagerError: the reference raises or disagrees with itself.
    """
    comparisons = [_compare(call, trial, budget, court) for call in workload.calls]
    failed = [comparison for comparison in comparisons if comparison.outcome is Outcome.FAIL]
    shown = failed[0] if failed else comparisons[-1]
    of_calls = f" ({len(failed)} of {len(comparisons)} calls)" if failed and len(comparisons) > 1 else ""
    return Verdict(
        "parity",
        shown.outcome,
        f"{trial.backend.name}: {workload.label}: {shown.sentence}{of_calls}",
        {**shown.facts, "figure": shown.figure, "calls": len(comparisons)},
        _evidence(shown, workload.calls[comparisons.index(shown)], trial, budget, court),
    )


def _evidence(found: Comparison, call: Call, trial: Trial, budget: ParityBudget, court: Court) -> tuple[str, ...]:
    """The evidence; a proved mistake stands in the place of what the numbers hint at."""
    if found.outcome is Outcome.PASS or call.method == "generate" or trial.is_of_candidate:
        return found.evidence
    mistake = accusation(call, trial.model, trial.backend, budget, court)
    if mistake is None:
        return found.evidence
    return (*(line for line in found.evidence if not line.startswith(HINT)), f"{HINT}{mistake}")


def _compare(call: Call, trial: Trial, budget: ParityBudget, court: Court) -> Comparison:
    if call.method == "generate":
        return compare_generated(call, trial, court.workshop)
    references = _references(call, trial, court)
    if trial.is_of_candidate and budget.tolerance == Tolerance():
        budget = replace(budget, tolerance=COMPRESSED)
    return compare(call.output, references, inputs=call.inputs, precision=trial.backend.precision, budget=budget)


def _references(call: Call, trial: Trial, court: Court) -> References:
    try:
        return court.book.references(trial.reference, call, trial.backend.precision)
    except EagerError as error:
        if not trial.is_of_candidate:
            raise
        raise EagerError(
            f"{error}; candidate_model took these inputs, and is judged by what eager_model says to them"
        ) from error
