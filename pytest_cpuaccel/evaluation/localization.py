"""A parity FAIL with the first module that differs, where that is asked for and can be told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.localization import Localization
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.diagnose.localize.localize import RightAnswer, WrongCall, localize
from pytest_cpuaccel.diagnose.localize.sentences import lines
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.following import KEEPS_STATE, seeking, takes_turn
from pytest_cpuaccel.evaluation.generation import wrong_step


def localized(verdict: Verdict, call: Call, comparer: Comparer, fault: Diagnosis | None, state: object) -> Verdict:
    """Return a FAIL with where the wrong answer to a call begins; ``state`` is what the model keeps between calls."""
    if not takes_turn(verdict, comparer, fault, "model"):
        return verdict
    why_not = _why_not(comparer.evaluation.backend.precision, state)
    found = Localization(note=why_not) if why_not else _found(call, comparer)
    return replace(verdict, localization=found, evidence=(*verdict.evidence, *lines(found)))


def _why_not(precision: Precision, state: object) -> str:
    if precision is not Precision.FP32:
        return f"in {precision.value} every module is off, so that there is no first one"
    return KEEPS_STATE if state else ""


def _found(call: Call, comparer: Comparer) -> Localization:
    try:
        with seeking("the first wrong module", comparer):
            if call.method == "generate":
                return _found_in_generation(call, comparer)
            request = comparer.evaluation.request(call)
            with _wrong_call(call, request, comparer.context.builder) as wrong:
                found = localize(wrong)
            return _nothing_stands_out(found) if isinstance(found, RightAnswer) else found
    except CpuaccelError as error:
        return Localization(note=str(error))


def _nothing_stands_out(found: RightAnswer) -> Localization:
    note = f"the answer's error is {found.ratio:.1f} times eager's own rounding, as a right one's may be"
    return Localization(note=f"{note}: no module stands out")


def _found_in_generation(call: Call, comparer: Comparer) -> Localization:
    """What goes wrong in one forward call over the tokens before the first that differs from eager's."""
    step = wrong_step(call, comparer.evaluation, comparer.context.builder)
    tokens = f" and the first {step.count} of eager's tokens" if step.count else ""
    over = f"one forward call over the prompt{tokens}"
    with _wrong_call(step.call, step.request, comparer.context.builder) as wrong:
        found = localize(wrong)
    if isinstance(found, RightAnswer):
        return Localization(
            note=f"{over} answers right: the fault lies in the steps of generate(), or in the cache between them"
        )
    return replace(found, note="; ".join(filter(None, (f"in {over}", found.note))))


@contextmanager
def _wrong_call(call: Call, request: BuildRequest, builder: Builder) -> Iterator[WrongCall]:
    with builder.artifact(request) as folder:
        yield WrongCall(request.model, request.backend, call, builder.subject(request), folder)
