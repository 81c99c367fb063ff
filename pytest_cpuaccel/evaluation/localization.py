"""A parity FAIL with the first module that differs, where that is asked for and can be told."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.builder.state.snapshot import in_state
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.diagnose.faults import has_a_place
from pytest_cpuaccel.diagnose.localize.localize import WrongCall, localize
from pytest_cpuaccel.diagnose.localize.sentences import lines
from pytest_cpuaccel.evaluation.comparer import Comparer


def localized(verdict: Verdict, call: Call, comparer: Comparer, fault: Diagnosis | None, state: object) -> Verdict:
    """Return a FAIL with where the wrong answer to a call begins; ``state`` is what the model keeps between calls."""
    evaluation, localizing = comparer.evaluation, comparer.context.localizing
    if verdict.outcome is not Outcome.FAIL or evaluation.is_of_candidate or not localizing.is_due:
        return verdict
    if fault is not None and not has_a_place(fault):
        return verdict
    localizing.count += 1
    why_not = _why_not(call, evaluation.backend.precision, state)
    found = Localization(note=why_not) if why_not else _found(call, comparer)
    return replace(verdict, localization=found, evidence=(*verdict.evidence, *lines(found)))


def _why_not(call: Call, precision: Precision, state: object) -> str:
    if call.method == "generate":
        return "generate() is not followed yet; call the model itself in a test to see where it goes wrong"
    if precision is not Precision.FP32:
        return f"in {precision.value} every module is off, so that there is no first one"
    return "the model keeps state from call to call, so that no call of it can be repeated alone" if state else ""


def _found(call: Call, comparer: Comparer) -> Localization:
    evaluation, builder = comparer.evaluation, comparer.context.builder
    request = evaluation.request(call)
    try:
        with (
            builder.busy(f"seeking the first wrong module under {evaluation.backend.name}"),
            process_kept(builder.threads),
            in_state(evaluation.model, evaluation.start),
            upstream.contained(),
            builder.artifact(request) as folder,
        ):
            wrong = WrongCall(evaluation.model, evaluation.backend, call, builder.subject(request), folder)
            return localize(wrong)
    except CpuaccelError as error:
        return Localization(note=str(error))
