"""The parity verdict on a workload: every call held to what eager returns for it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.workshop import Workshop, forward_inputs, run_eager
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.reference import ReferenceBook, run_in
from pytest_cpuaccel.judge.workload import Workload
from pytest_cpuaccel.measure.parity.comparison import Comparison, compare
from pytest_cpuaccel.measure.parity.generation import compare_generation


def judge_parity(
    workload: Workload,
    model: nn.Module,
    backend: Backend,
    budget: ParityBudget,
    book: ReferenceBook,
    workshop: Workshop,
) -> Verdict:
    """Return the verdict on the worst call of a workload.

    Raises:
        EagerError: the eager model raises or disagrees with itself.
    """
    comparisons = [_compare(call, model, backend, budget, book, workshop) for call in workload.calls]
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


def _compare(
    call: Call,
    model: nn.Module,
    backend: Backend,
    budget: ParityBudget,
    book: ReferenceBook,
    workshop: Workshop,
) -> Comparison:
    if call.method == "generate":
        return _compare_generation(call, model, backend, workshop)
    references = book.references(model, call, backend.precision)
    return compare(call.output, references, inputs=call.inputs, precision=backend.precision, budget=budget)


def _compare_generation(call: Call, model: nn.Module, backend: Backend, workshop: Workshop) -> Comparison:
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(call.rng_state)
        expected = sequences(run_eager(model, "generate", repeatable(call.inputs)))
    forced = _teacher_forced(model, call.inputs, expected)
    prompt = 0 if getattr(model.config, "is_encoder_decoder", False) else forward_inputs(model, call.inputs).kwargs["input_ids"].shape[1]
    expected64 = run_in(model, forced, torch.float64)
    return compare_generation(
        sequences(call.output),
        expected,
        prompt_length=prompt,
        expected_logits=run_eager(model, "forward", forced).logits,
        expected64_logits=None if expected64 is None else expected64.logits,
        actual_logits=_backend_logits(model, backend, forced, workshop),
        precision=backend.precision,
    )


def repeatable(inputs: Inputs) -> Inputs:
    """Return the inputs of a ``generate()`` call without its streamer, which would be fed twice."""
    return Inputs(inputs.args, {name: value for name, value in inputs.kwargs.items() if name != "streamer"})


def sequences(output: Any) -> torch.Tensor:
    """Return the token ids that ``generate()`` returned, (batch, length), bare or in a ModelOutput."""
    ids: torch.Tensor = output if isinstance(output, torch.Tensor) else output.sequences
    return ids


def _backend_logits(model: nn.Module, backend: Backend, forced: Inputs, workshop: Workshop) -> torch.Tensor | None:
    try:
        built = workshop.built(model, backend, "forward", forced)
    except BuildError:
        return None
    with torch.no_grad():
        logits: torch.Tensor = built.forward(**forced.kwargs).logits
    return logits


def _teacher_forced(model: nn.Module, inputs: Inputs, expected: torch.Tensor) -> Inputs:
    """Inputs of one forward call that scores every token eager generated, given eager's own tokens before it."""
    prompt = dict(forward_inputs(model, inputs).kwargs)
    if getattr(model.config, "is_encoder_decoder", False):
        return Inputs(kwargs={**prompt, "decoder_input_ids": expected})
    mask = prompt["attention_mask"].repeat_interleave(expected.shape[0] // prompt["input_ids"].shape[0], dim=0)
    grown = torch.ones(expected.shape[0], expected.shape[1] - mask.shape[1], dtype=mask.dtype)
    whole = torch.cat([mask, grown], dim=1)
    forced = {"input_ids": expected, "attention_mask": whole}
    if bool((mask == 0).any()) and "position_ids" in inspect.signature(model.forward).parameters:
        forced["position_ids"] = (whole.long().cumsum(-1) - 1).clamp(min=0)
    return Inputs(kwargs=forced)
