"""The comparison of ``generate()`` under a backend with eager's tokens and logits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.builder.first_step import FirstStep
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError, EagerError
from pytest_cpuaccel.core.heard import Heard, Listener
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.measurement.stream import StreamMeasurement
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.tolerance_lock import Lock
from pytest_cpuaccel.evaluation.beam_search import Hypotheses, chooses_texts, ends_of, preferences_of, samples, searches
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.reference_cache import rounded, run_in
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.generation import judge_generation, terms_of_logits
from pytest_cpuaccel.judge.parity.questions import questions
from pytest_cpuaccel.judge.parity.stream import judge_stream
from pytest_cpuaccel.measure.parity.forced_logits import ForcedLogits
from pytest_cpuaccel.measure.parity.generation import Generation
from pytest_cpuaccel.measure.parity.stream import compare_stream

ONE_CALL = 1e-3
"""Relative to the largest logit: how far one forward call over a text may be from the steps of a loop with a cache."""

_OF_STEPS = ("logits", "scores")
_HIDDEN = ("hidden_states", "encoder_hidden_states", "decoder_hidden_states")


@dataclass(frozen=True)
class LogitsTerms:
    """What a tolerance lock holds the logits over eager's tokens to; ``is_asked``: what they need is to be known."""

    lock: Lock | None = None
    is_asked: bool = False


NO_LOCK = LogitsTerms()


def compare_generated(
    call: Call, evaluation: Evaluation, builder: Builder, held: LogitsTerms = NO_LOCK, *, by_build: bool = True
) -> Comparison:
    """Compare a ``generate()`` call with eager's, run from the same generator state.

    Without ``by_build`` the answer is another build's, whose logits are not known.

    Logits are teacher-forced: one forward call over eager's own tokens, under eager and under the backend. Those
    of a candidate are held to what int8 is: it differs from the reference by more than rounding. Where one forward
    call is not what eager's own steps came to, eager's logits are those of the steps, and the backend's are not asked.

    Raises:
        BuildError: ``generate()`` can't be followed.
    """
    model = evaluation.reference
    precision = Precision.INT8 if evaluation.is_of_candidate else evaluation.backend.precision
    step, actual, expected = _texts(call, model)
    asked = None if evaluation.is_of_candidate else precision

    def both(tokens: torch.Tensor) -> ForcedLogits | None:
        """The logits of one forward call over some tokens."""
        forced = step.forced(tokens)
        logits = _eagers_logits(model, forced, tokens.shape[1], asked)
        if logits is None:
            return None
        answer = _backend_output(call, evaluation, forced, builder) if by_build else None
        return replace(logits, actual=_logits(answer, tokens.shape[1]))

    logits, start = both(expected), max(step.ids.shape[1], 1)
    preferences = chosen_by = None
    if logits is not None and torch.equal(actual, expected):
        logits = _returned(call, model, expected, logits)
    else:
        told = _told(call, model)
        steps = _of_steps(told, expected)
        chosen_by = _processed(call, model, told, expected)
        if steps is not None and (logits is None or not _same(logits.expected, steps)):
            logits = ForcedLogits(steps.nan_to_num())
        elif len(actual) == len(expected) and searches(call, model):
            hypotheses = Hypotheses(expected, actual, start, logits, both(actual), precision)
            preferences = preferences_of(call, model, told, hypotheses)
    if logits is None:
        raise BuildFailureError(
            f"{type(model).__name__}: no forward call scores the tokens that its generate() returns"
        )
    count = step.takes_more_than_text or _tells_of_logits(call.output) or held.lock is not None
    generation = Generation(
        actual,
        expected,
        step.ids.shape[1],
        logits,
        precision,
        count or held.is_asked,
        preferences,
        samples(call, model),
        ends_of(call, model),
        chosen_by,
    )
    terms = terms_of_logits(precision, held.lock)
    measured = generation.measure(partial(questions, terms=terms))
    found = judge_generation(measured, terms)
    if not measured.divergences and not count:
        found = replace(judge_generation(replace(measured, logits=None), terms), needs=found.needs)
    faulty = None if call.heard is None else _faulty_stream(call.heard, call, model)
    return found if faulty is None else judge_stream(found, faulty)


def _faulty_stream(heard: Heard, call: Call, model: nn.Module) -> StreamMeasurement | None:
    """How a backend's stream differs from its own tokens; None too where eager's differs from eager's tokens."""
    listener = Listener()
    expected = _ids(_expected(call, model, streamer=listener))
    return None if compare_stream(listener.heard, expected) else compare_stream(heard, _ids(call.output))


def _told(call: Call, model: nn.Module) -> Any | None:
    """What eager's loop tells of itself: the logits of its steps, and the scores of a search."""
    try:
        return _expected(call, model, return_dict_in_generate=True, output_logits=True, output_scores=True)
    except EagerError:
        return None


def _tells_of_logits(output: Any) -> bool:
    """Tell whether a call returned what comes of its logits, or led to them, beside the tokens."""
    return any(getattr(output, name, None) is not None for name in (*_OF_STEPS, "sequences_scores", *_HIDDEN))


def _returned(call: Call, model: nn.Module, tokens: torch.Tensor, logits: ForcedLogits) -> ForcedLogits:
    """The logits of each step, where a call returns them beside the same tokens; else those that are given.

    Scores are logits too, unless something was done to them. Those of a search are sums, and never are.
    """
    names = [name for name in _OF_STEPS if getattr(call.output, name, None) is not None]
    if not names:
        return logits
    told = _told(call, model)
    expected, scores = _of_steps(told, tokens), _of_steps(told, tokens, "scores")
    if names == ["scores"] and (expected is None or scores is None or not _same_to_the_bit(scores, expected)):
        return logits
    actual = _of_steps(call.output, tokens, names[0])
    if expected is None or actual is None or not _same(logits.expected, expected):
        return logits
    return replace(logits, expected=expected, actual=actual)


def _processed(call: Call, model: nn.Module, told: Any, tokens: torch.Tensor) -> torch.Tensor | None:
    """What eager's loop made of its logits before it chose, NaN where it left them; None of a draw or a search."""
    if samples(call, model) or chooses_texts(call, model):
        return None
    steps, scores = _of_steps(told, tokens), _of_steps(told, tokens, "scores")
    if steps is None or scores is None:
        return None
    return scores.masked_fill(scores == steps, torch.nan)


def _same_to_the_bit(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


@dataclass(frozen=True)
class WrongStep:
    """A forward call over the prompt and ``count`` of eager's tokens; ``request`` is for the build that answered it."""

    call: Call
    count: int
    request: BuildRequest


def wrong_step(call: Call, evaluation: Evaluation, builder: Builder) -> WrongStep:
    """Return the forward call over the tokens of a ``generate()`` call as far as they are eager's.

    Raises:
        BuildError: ``generate()`` can't be followed, or the backend takes no such call.
    """
    step, actual, expected = _texts(call, evaluation.reference)
    end = step.ids.shape[1] + _agreed(actual, expected, step.ids.shape[1])
    forced = step.forced(expected[:, :end])
    request = _request(call, evaluation, forced, builder)
    answer = rehearse(builder.built(request).forward, forced)
    return WrongStep(Call("forward", forced, tree.clone(answer)), end - step.ids.shape[1], request)


def _agreed(actual: torch.Tensor, expected: torch.Tensor, start: int) -> int:
    """How many tokens from ``start`` on are the same in all rows."""
    if len(actual) != len(expected):
        return 0
    end = min(actual.shape[1], expected.shape[1])
    same = (actual[:, start:end] == expected[:, start:end]).all(0)
    return int(same.long().cumprod(0).sum())


def _texts(call: Call, model: nn.Module) -> tuple[FirstStep, torch.Tensor, torch.Tensor]:
    """The first step of a ``generate()`` call, the backend's tokens and eager's, both from those of the step on."""
    expected = _ids(_expected(call, model))
    step = _first_step(model, call.inputs, len(expected))
    actual = _ids(call.output)
    if not _begins_with(expected, step.ids):  # embeddings have no tokens, and Whisper leaves them out
        actual, expected = torch.cat([step.ids, actual], dim=1), torch.cat([step.ids, expected], dim=1)
    return step, actual, expected


def repeatable(inputs: Inputs) -> Inputs:
    """Return the inputs of a ``generate()`` call without its streamer, which would be fed twice."""
    return Inputs(inputs.args, {name: value for name, value in inputs.kwargs.items() if name != "streamer"})


def _expected(call: Call, model: nn.Module, **settings: Any) -> Any:
    inputs = repeatable(call.inputs)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(call.rng_state)
        return run_eager(model, "generate", Inputs(inputs.args, {**inputs.kwargs, **settings}))


def _ids(output: Any) -> torch.Tensor:
    ids: torch.Tensor = output if isinstance(output, torch.Tensor) else output.sequences
    return ids


def _first_step(model: nn.Module, inputs: Inputs, rows: int) -> FirstStep:
    """The call's first step, with as many rows as came out of it."""
    step = FirstStep.of(model, inputs)
    each = rows // len(step.ids)
    return step if each == 1 else FirstStep.of(model, inputs, each)


def _begins_with(tokens: torch.Tensor, given: torch.Tensor) -> bool:
    return torch.equal(tokens[:, : given.shape[1]], given)


def _eagers_logits(model: nn.Module, forced: Inputs, length: int, precision: Precision | None) -> ForcedLogits | None:
    """Eager's teacher-forced logits, rounded in a precision too; None where it has none for this call."""
    try:
        expected = _logits(run_eager(model, "forward", forced), length)
    except EagerError:  # a generated token that means an image, of which there is none, say
        return None
    if expected is None:
        return None
    return ForcedLogits(
        expected,
        _logits(_output(run_in(model, forced, torch.float64)), length),
        None if precision is None else _logits(_output(rounded(model, forced, precision)), length),
    )


def _output(answer: Answer | None) -> Any | None:
    return None if answer is None else answer.output


def _logits(output: Any | None, length: int) -> torch.Tensor | None:
    """Logits of the last ``length`` positions: GIT and older LLaVAs have some for the image before the text."""
    logits = getattr(output, "logits", None)
    return logits[:, -length:] if isinstance(logits, torch.Tensor) else None


def _of_steps(told: Any, tokens: torch.Tensor, name: str = "logits") -> torch.Tensor | None:
    """Logits, or scores, at each step of a loop, NaN before the first; None where the loop does not tell them."""
    try:
        steps = torch.stack(getattr(told, name), dim=1)
        rows = getattr(told, "beam_indices", None)
        if rows is not None:
            places = torch.arange(rows.shape[1])
            steps = steps[rows.clamp(min=0), places[None]].masked_fill((rows < 0)[..., None], torch.nan)
    except (AttributeError, IndexError, TypeError):  # Whisper's are not those of its whole batch
        return None
    count = min(steps.shape[1], tokens.shape[1] - 1)
    if len(steps) != len(tokens):
        return None
    before = steps.new_full((len(steps), tokens.shape[1] - 1 - count, steps.shape[2]), torch.nan)
    after = steps.new_full((len(steps), 1, steps.shape[2]), torch.nan)
    return torch.cat([before, steps[:, :count], after], dim=1)


def _same(forced: torch.Tensor, steps: torch.Tensor) -> bool:
    """Tell whether two ways to the same logits agree, as far as ``steps`` are known."""
    known = steps.isfinite()
    apart = (forced - steps)[known].abs().max()
    return bool(apart <= ONE_CALL * steps[known].abs().max())


def _backend_output(call: Call, evaluation: Evaluation, forced: Inputs, builder: Builder) -> Any | None:
    """What the build that generated answers; where its graph takes no such call, what one made for it does."""
    try:
        built = builder.built(_request(call, evaluation, forced, builder))
    except BuildError:
        return None
    with torch.no_grad():
        return built.forward(**forced.kwargs)


def _request(call: Call, evaluation: Evaluation, forced: Inputs, builder: Builder) -> BuildRequest:
    """The request for the build that generated; where its graph takes no such call, for one made for it."""
    request = evaluation.request(call)
    if builder.built(request).accepts(forced):
        return request
    return BuildRequest(evaluation.model, evaluation.backend, "forward", forced)
