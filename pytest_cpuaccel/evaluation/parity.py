"""The parity verdict on a workload: every call is compared with the eager reference's answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.diagnose.faults import fault_behind
from pytest_cpuaccel.diagnose.inquiry import Inquiry
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.fresh_export import is_right_anew
from pytest_cpuaccel.evaluation.localization import localized
from pytest_cpuaccel.evaluation.sensitivity import ROUNDING, with_sensitivity
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.judge.parity.workload import shown_of, stale_verdict, workload_verdict
from pytest_cpuaccel.measure.parity.references import References
from pytest_cpuaccel.recording.workload import Workload


def evaluate_parity(workload: Workload, comparisons_of: Comparisons) -> Verdict:
    """Return the verdict on the worst call of a workload.

    A FAIL needs a fresh export that answers wrong too. Otherwise the verdict is INCONCLUSIVE, and the build and its
    export are deleted.

    Raises:
        EagerError: the reference raises or disagrees with itself.
    """
    comparer, backend = comparisons_of.comparer, comparisons_of.evaluation.backend
    comparisons_of.failing = None
    comparisons = comparisons_of.of(workload.calls)
    shown, about = shown_of(comparisons), f"{backend.name}: {workload.label}"
    if shown.outcome is not Outcome.FAIL:
        return workload_verdict(about, comparisons)
    call = workload.calls[comparisons.index(shown)]
    if is_right_anew(call, comparer, comparisons_of.state):
        comparisons_of.is_stale = True
        return stale_verdict(about, shown, is_exported=bool(backend.exporters))
    comparisons_of.failing = call
    state = comparisons_of.state
    fault = None if state else _fault(call, comparer)
    follow = with_sensitivity if backend.precision in ROUNDING else localized
    return follow(workload_verdict(about, comparisons, fault), call, comparer, fault, state)


def _fault(call: Call, comparer: Comparer) -> Diagnosis | None:
    """The mistake behind a failing answer; it is sought by the default tolerances, whatever those of the mark are."""
    evaluation, cache = comparer.evaluation, comparer.context.cache
    if call.method == "generate" or evaluation.is_of_candidate:
        return None
    model, own = evaluation.model, replace(comparer.budget, tolerance=Tolerance(), outputs={}, locks={})

    def compared(actual: Any, asked: Call, precision: Precision) -> Comparison:
        references = cache.references(model, asked, precision, own.only)
        return compare(actual, references, asked.inputs, Terms(own, precision))

    def references(asked: Call, precision: Precision) -> References:
        return cache.references(model, asked, precision)

    return fault_behind(Inquiry(call, evaluation.request(call), comparer.context.builder, compared, references))
