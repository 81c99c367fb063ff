"""An accusation: the mistake that a failing answer was shown to come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.known_faults import Suspect, suspects
from pytest_cpuaccel.measure.parity.agreement import self_agreement
from pytest_cpuaccel.measure.parity.comparison import Comparison, compare
from pytest_cpuaccel.measure.parity.hints import proved
from pytest_cpuaccel.measure.parity.resemblance import resembles

COARSER = (Precision.BF16, Precision.FP16)
"""Precisions that an fp32 backend may run in without saying so."""

ASKED_AGAIN = 5
"""How often a backend is asked for the same answer: stochastic depth drops so little that two in three agree."""


def accusation(
    call: Call, model: nn.Module, backend: Backend, budget: ParityBudget, context: EvaluationContext
) -> str | None:
    """Return the mistake behind a backend's failing answer to a forward call; None where none of those known is.

    Checks in this order. Is the mark's tolerance too strict: does the default one accept the answer? Does the backend
    disagree with itself? Does eager with a known fault give the same wrong answer? Each fault takes three eager calls.
    """
    own = replace(budget, tolerance=Tolerance(), outputs={})
    try:
        with upstream.contained(), torch.random.fork_rng(devices=[]):
            return next(_accusations(call, model, backend, own, context), None)
    except CpuaccelError:  # it does not even do it twice
        return None


def _accusations(
    call: Call, model: nn.Module, backend: Backend, budget: ParityBudget, context: EvaluationContext
) -> Iterator[str]:
    usual = _compared(call.output, call, model, backend.precision, budget, context)
    if usual.outcome is Outcome.PASS:
        precision = backend.precision.value
        yield f"the default tolerance for {precision} takes this answer, {usual.figure}; the one given does not"
    if disagreement := self_disagreement(call, model, backend, context):
        yield disagreement
    yield from proved(usual.evidence)
    for suspect in suspects(call.inputs, model, backend.precision):
        if _is_it(suspect, call.output, model, budget, context):
            yield suspect.sentence
    request = BuildRequest(model, backend, "forward", call.inputs)
    if not context.builder.is_made_for(request):
        anew = context.builder.build_anew(request)
        answer = rehearse(anew.forward, call.inputs)
        anew.close()
        if _passes(answer, call, model, backend.precision, budget, context):
            yield f"a build made for these very inputs answers right{_whose_fault(backend)}"


def _whose_fault(backend: Backend) -> str:
    """What is to be done about a build that serves calls which it is wrong for: by us, or by the backend's author."""
    if backend in BUILTIN:
        return ", the one in use was made for another call: that is a bug of pytest-cpuaccel, please report it"
    return f": accepts() of {backend.name}'s build, made for another call, must refuse them"


def self_disagreement(call: Call, model: nn.Module, backend: Backend, context: EvaluationContext) -> str | None:
    """Return the sentence that says how a backend's answers to a forward call differ from one another; None if none."""
    built = context.builder.built(BuildRequest(model, backend, "forward", call.inputs))
    again = (rehearse(built.forward, call.inputs) for _ in range(ASKED_AGAIN))
    found = next(filter(None, (self_agreement(call.output, answer) for answer in again)), None)
    return found and found.replace("eager disagrees", f"{backend.name} disagrees")


def _is_it(suspect: Suspect, actual: Any, model: nn.Module, budget: ParityBudget, context: EvaluationContext) -> bool:
    call = Call("forward", suspect.inputs, None)
    try:
        if suspect.precision in COARSER:
            return resembles(actual, context.book.references(model, call, suspect.precision), suspect.inputs)
        return _passes(actual, call, model, suspect.precision, budget, context)
    except CpuaccelError:  # eager takes no such inputs
        return False


def _passes(
    actual: Any, call: Call, model: nn.Module, precision: Precision, budget: ParityBudget, context: EvaluationContext
) -> bool:
    return _compared(actual, call, model, precision, budget, context).outcome is Outcome.PASS


def _compared(
    actual: Any, call: Call, model: nn.Module, precision: Precision, budget: ParityBudget, context: EvaluationContext
) -> Comparison:
    references = context.book.references(model, call, precision, budget.only)
    return compare(actual, references, inputs=call.inputs, precision=precision, budget=budget)
