"""Faults: the mistake that a failing answer was shown to come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.diagnose.inquiry import Inquiry
from pytest_cpuaccel.diagnose.known_faults import KnownFault, known_faults
from pytest_cpuaccel.diagnose.resemblance import resembles
from pytest_cpuaccel.measure.parity.agreement import self_agreement

COARSER = (Precision.BF16, Precision.FP16)
"""Precisions that an fp32 backend may run in without saying so."""

ASKED_AGAIN = 5
"""How often a backend is asked for the same answer: stochastic depth drops so little that two in three agree."""


_TOO_STRICT = "the default tolerance for"
_MADE_ANEW = "a build made for these very inputs answers right"


def has_a_place(fault: Diagnosis) -> bool:
    """Tell whether a fault may lie in one module: not that of a tolerance, of chance, or of another call's build."""
    return not fault.sentence.startswith((_TOO_STRICT, _MADE_ANEW)) and " disagrees " not in fault.sentence


def is_of_tolerance(fault: Diagnosis) -> bool:
    """Tell whether a fault is that of the mark: the answer is one that this precision usually gives."""
    return fault.sentence.startswith(_TOO_STRICT)


def fault_behind(inquiry: Inquiry) -> Diagnosis | None:
    """Return the mistake behind a backend's failing answer to a forward call; None where none of those known is.

    Checks in this order. Is the mark's tolerance too strict: does the default one accept the answer? Does the backend
    disagree with itself? Does eager with a known fault give the same wrong answer? Each fault takes three eager calls.
    """
    try:
        with upstream.contained(), torch.random.fork_rng(devices=[]):
            return next(_faults(inquiry), None)
    except CpuaccelError:  # it does not even do it twice
        return None


def _faults(inquiry: Inquiry) -> Iterator[Diagnosis]:
    call, backend = inquiry.call, inquiry.request.backend
    usual = inquiry.compared(call.output, call, backend.precision)
    if usual.outcome is Outcome.PASS:
        precision = backend.precision.value
        sentence = f"{_TOO_STRICT} {precision} takes this answer, {usual.figure}; the one given does not"
        yield Diagnosis("fault", sentence)
    if disagreement := self_disagreement(call, inquiry.request, inquiry.builder):
        yield Diagnosis("fault", disagreement)
    yield from (found for found in usual.diagnoses if found.kind == "fault")
    for fault in known_faults(call.inputs, inquiry.request.model, backend.precision):
        if _is_it(fault, inquiry):
            yield Diagnosis("fault", fault.sentence)
    if not inquiry.builder.is_made_for(inquiry.request):
        anew = inquiry.builder.build_anew(inquiry.request)
        answer = rehearse(anew.forward, call.inputs)
        anew.close()
        if _passes(answer, call, backend.precision, inquiry):
            yield Diagnosis("fault", f"{_MADE_ANEW}{_whose_fault(backend)}")


def _whose_fault(backend: Backend) -> str:
    """What is to be done about a build that serves calls which it is wrong for: by us, or by the backend's author."""
    if backend in BUILTIN:
        return ", the one in use was made for another call: that is a bug of pytest-cpuaccel, please report it"
    return f": accepts() of {backend.name}'s build, made for another call, must refuse them"


def self_disagreement(call: Call, request: BuildRequest, builder: Builder) -> str | None:
    """Return the sentence that says how a backend's answers to a forward call differ from one another; None if none."""
    built = builder.built(request)
    again = (rehearse(built.forward, call.inputs) for _ in range(ASKED_AGAIN))
    found = next(filter(None, (self_agreement(call.output, answer) for answer in again)), None)
    return found and found.replace("eager disagrees", f"{request.backend.name} disagrees")


def _is_it(fault: KnownFault, inquiry: Inquiry) -> bool:
    call, actual = Call("forward", fault.inputs, None), inquiry.call.output
    try:
        if fault.precision in COARSER:
            return resembles(actual, inquiry.references(call, fault.precision), fault.inputs)
        return _passes(actual, call, fault.precision, inquiry)
    except CpuaccelError:  # eager takes no such inputs
        return False


def _passes(actual: Any, call: Call, precision: Precision, inquiry: Inquiry) -> bool:
    return inquiry.compared(actual, call, precision).outcome is Outcome.PASS
