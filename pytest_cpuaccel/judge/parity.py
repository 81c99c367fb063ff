"""The parity verdict on a workload: every call held to what eager returns for it."""

from __future__ import annotations

from torch import nn

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.court import Court
from pytest_cpuaccel.judge.generation import compare_generated
from pytest_cpuaccel.judge.workload import Workload
from pytest_cpuaccel.measure.parity.comparison import Comparison, compare


def judge_parity(workload: Workload, model: nn.Module, backend: Backend, budget: ParityBudget, court: Court) -> Verdict:
    """Return the verdict on the worst call of a workload.

    Raises:
        EagerError: the eager model raises or disagrees with itself.
    """
    comparisons = [_compare(call, model, backend, budget, court) for call in workload.calls]
    failed = [comparison for comparison in comparisons if comparison.outcome is Outcome.FAIL]
    shown = failed[0] if failed else comparisons[-1]
    of_calls = f" ({len(failed)} of {len(comparisons)} calls)" if failed and len(comparisons) > 1 else ""
    return Verdict(
        "parity",
        shown.outcome,
        f"{backend.name}: {workload.label}: {shown.sentence}{of_calls}",
        {**shown.facts, "figure": shown.figure, "calls": len(comparisons)},
        shown.evidence,
    )


def _compare(call: Call, model: nn.Module, backend: Backend, budget: ParityBudget, court: Court) -> Comparison:
    if call.method == "generate":
        return compare_generated(call, model, backend, court.workshop)
    references = court.book.references(model, call, backend.precision)
    return compare(call.output, references, inputs=call.inputs, precision=backend.precision, budget=budget)
