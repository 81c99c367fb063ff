"""What ``generate()`` returned under a backend, compared with eager's tokens and with the logits behind them."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

from pytest_cpuaccel.build.original import forward_inputs, run_eager
from pytest_cpuaccel.build.workshop import Workshop
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.judge.reference import rounded, run_in
from pytest_cpuaccel.judge.trial import Trial
from pytest_cpuaccel.measure.parity.comparison import Comparison
from pytest_cpuaccel.measure.parity.generation import compare_generation


def compare_generated(call: Call, trial: Trial, workshop: Workshop) -> Comparison:
    """Compare a ``generate()`` call with eager's, run from the same generator state.

    Logits are teacher-forced: one forward call over eager's own tokens, under eager and under the backend. Those
    of a candidate are held to what int8 is: it differs from the reference by more than rounding.
    """
    model = trial.reference
    precision = Precision.INT8 if trial.is_of_candidate else trial.backend.precision
    actual, expected = _started(_ids(call.output), _expected_ids(call, model), model)
    forced = _teacher_forced(model, call.inputs, expected)
    return compare_generation(
        actual,
        expected,
        prompt_length=_prompt_length(model, call.inputs),
        expected_logits=run_eager(model, "forward", forced).logits,
        expected64_logits=_logits(run_in(model, forced, torch.float64)),
        rounding_logits=_logits(rounded(model, forced, precision)),
        actual_logits=_backend_logits(trial, forced, workshop),
        precision=precision,
    )


def repeatable(inputs: Inputs) -> Inputs:
    """Return the inputs of a ``generate()`` call without its streamer, which would be fed twice."""
    return Inputs(inputs.args, {name: value for name, value in inputs.kwargs.items() if name != "streamer"})


def _expected_ids(call: Call, model: nn.Module) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(call.rng_state)
        output = run_eager(model, "generate", repeatable(call.inputs))
    return _ids(output)


def _ids(output: Any) -> torch.Tensor:
    ids: torch.Tensor = output if isinstance(output, torch.Tensor) else output.sequences
    return ids


def _started(actual: torch.Tensor, expected: torch.Tensor, model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Both with the token that a decoder starts from, which Whisper's ``generate()`` cuts off in transformers 5."""
    start = getattr(model.generation_config, "decoder_start_token_id", None)
    if not _is_encoder_decoder(model) or start is None or bool((expected[:, 0] == start).all()):
        return actual, expected
    return pad(actual, (1, 0), value=start), pad(expected, (1, 0), value=start)


def _prompt_length(model: nn.Module, inputs: Inputs) -> int:
    if _is_encoder_decoder(model):
        return 0
    length: int = forward_inputs(model, inputs).kwargs["input_ids"].shape[1]
    return length


def _is_encoder_decoder(model: nn.Module) -> bool:
    return bool(getattr(model.config, "is_encoder_decoder", False))


def _logits(output: Answer | None) -> torch.Tensor | None:
    return None if output is None else output.output.logits


def _backend_logits(trial: Trial, forced: Inputs, workshop: Workshop) -> torch.Tensor | None:
    try:
        built = workshop.built(trial.model, trial.backend, "forward", forced)
    except BuildError:
        return None
    with torch.no_grad():
        logits: torch.Tensor = built.forward(**forced.kwargs).logits
    return logits


def _teacher_forced(model: nn.Module, inputs: Inputs, expected: torch.Tensor) -> Inputs:
    """Inputs of one forward call that scores every token eager generated, given eager's own tokens before it."""
    prompt = dict(forward_inputs(model, inputs).kwargs)
    if _is_encoder_decoder(model):
        return Inputs(kwargs={**prompt, "decoder_input_ids": expected})
    mask = prompt["attention_mask"].repeat_interleave(expected.shape[0] // prompt["input_ids"].shape[0], dim=0)
    grown = torch.ones(expected.shape[0], expected.shape[1] - mask.shape[1], dtype=mask.dtype)
    whole = torch.cat([mask, grown], dim=1)
    forced = {"input_ids": expected, "attention_mask": whole}
    if bool((mask == 0).any()) and "position_ids" in inspect.signature(model.forward).parameters:
        forced["position_ids"] = (whole.long().cumsum(-1) - 1).clamp(min=0)
    return Inputs(kwargs=forced)
