"""The parity verdict on a workload: every call held to what the reference returns for it in eager mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.accusation import accusation
from pytest_cpuaccel.judge.court import Court
from pytest_cpuaccel.judge.generation import compare_generated
from pytest_cpuaccel.judge.pool import Pool
from pytest_cpuaccel.judge.trial import Trial
from pytest_cpuaccel.judge.workload import Workload
from pytest_cpuaccel.measure.parity.check import Share
from pytest_cpuaccel.measure.parity.comparison import Comparison, References, compare
from pytest_cpuaccel.measure.parity.defaults import COMPRESSED
from pytest_cpuaccel.measure.parity.hints import HINT
from pytest_cpuaccel.measure.parity.match import SEVERITY


def pool_of(trial: Trial, budget: ParityBudget, court: Court) -> Pool:
    """Return all calls of a test, to be compared when there is need of it."""
    return Pool(trial.calls, lambda call, pooled: _compare(call, trial, budget, court, pooled))


def judge_parity(
    workload: Workload, trial: Trial, budget: ParityBudget, court: Court, pool: Pool | None = None
) -> Verdict:
    """Return the verdict on the worst call of a workload; ``pool`` holds all calls of the test.

    Raises:
        EagerError: the reference raises or disagrees with itself.
    """
    comparisons = (pool or pool_of(trial, budget, court)).comparisons(workload.calls)
    worst = max((comparison.outcome for comparison in comparisons), key=lambda outcome: SEVERITY[outcome])
    alike = [comparison for comparison in comparisons if comparison.outcome is worst]
    shown = alike[-1] if worst is Outcome.PASS else alike[0]
    of_several = worst is not Outcome.PASS and len(comparisons) > 1
    of_calls = f" ({len(alike)} of {len(comparisons)} calls)" if of_several else ""
    return Verdict(
        "parity",
        shown.outcome,
        f"{trial.backend.name}: {workload.label}: {shown.sentence}{of_calls}",
        {**shown.facts, "figure": shown.figure, "calls": len(comparisons)},
        _evidence(shown, workload.calls[comparisons.index(shown)], trial, budget, court),
    )


def _evidence(found: Comparison, call: Call, trial: Trial, budget: ParityBudget, court: Court) -> tuple[str, ...]:
    """The evidence; a proved mistake stands in the place of what the numbers hint at."""
    if found.outcome is not Outcome.FAIL or call.method == "generate" or trial.is_of_candidate:
        return found.evidence
    mistake = accusation(call, trial.model, trial.backend, budget, court)
    if mistake is None:
        return found.evidence
    return (*(line for line in found.evidence if not line.startswith(HINT)), f"{HINT}{mistake}")


def _compare(call: Call, trial: Trial, budget: ParityBudget, court: Court, pooled: Mapping[str, Share]) -> Comparison:
    if call.method == "generate":
        return compare_generated(call, trial, court.workshop)
    references = _references(call, trial, budget, court)
    if trial.is_of_candidate and budget.tolerance == Tolerance():
        budget = replace(budget, tolerance=COMPRESSED)
    precision = trial.backend.precision
    return compare(call.output, references, inputs=call.inputs, precision=precision, budget=budget, pooled=pooled)


def _references(call: Call, trial: Trial, budget: ParityBudget, court: Court) -> References:
    try:
        return court.book.references(trial.reference, call, trial.backend.precision, budget.only)
    except EagerError as error:
        if not trial.is_of_candidate:
            raise
        raise EagerError(
            f"{error}; candidate_model took these inputs, and is judged by what eager_model says to them"
        ) from error
