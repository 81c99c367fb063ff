"""The reference: eager's answers to a call, in fp32 and in other precisions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.backends.toolkit.weights import drop_weights
from pytest_cpuaccel.builder.cast_copy import cast_copy, light_cast_copy, plain
from pytest_cpuaccel.builder.eager import answer_of, call_eager
from pytest_cpuaccel.builder.fingerprint import inputs_digest, weights_stamp
from pytest_cpuaccel.builder.random_generators import Generators, seeded
from pytest_cpuaccel.builder.state.snapshot import Snapshot, in_state, leaves_parameters_alone, take_after, untouched
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import CpuaccelError, EagerError
from pytest_cpuaccel.core.identity import ByIdentity
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.keeping import CASTS_BYTES
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.evaluation.fake_int8 import in_fake_int8
from pytest_cpuaccel.evaluation.randomness import RandomnessCheck
from pytest_cpuaccel.evaluation.reference_entries import ReferenceEntries, ReferenceEntry
from pytest_cpuaccel.measure.parity.agreement import IS_IT_RANDOM, self_agreement
from pytest_cpuaccel.measure.parity.references import References
from pytest_cpuaccel.measure.parity.reordered import reordered
from pytest_cpuaccel.measure.parity.selection import Selection, of_outputs, selected
from pytest_cpuaccel.measure.parity.ties import ties_of

_DTYPES = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


@dataclass
class ReferenceCache:
    """Runs the eager model for each call; runs other precisions only if its answer is new."""

    entries: ReferenceEntries = field(default_factory=ReferenceEntries)

    def references(
        self,
        model: nn.Module,
        call: Call,
        precision: Precision,
        only: tuple[str, ...] = (),
        start: Snapshot | None = None,
    ) -> References:
        """Return what eager gives for a forward call: in fp32, in fp64, and in the backend's own precision.

        What is remembered of an earlier call is taken only if eager, run now, still gives the same. The model has
        the state ``start`` before the call, by default that of now. Random numbers are the same in each run, and it is
        seen to that no answer hangs on them.

        Raises:
            EagerError: eager raises, or disagrees with itself in the outputs of these names (none: in any).
        """
        with in_state(model, start):
            key, stamp = (inputs_digest(call.inputs), precision.value, only), weights_stamp(model)
            known = self.entries.get(model, key)
            if known is not None and known.stamp == stamp:
                expected = _answer(model, call.inputs)
                if self_agreement(known.references.expected, expected, only) is None:
                    return known.references
            known = None
            self.entries.drop(model, key)
            found = _references(model, call.inputs, precision, only)
            self.entries.put(model, key, ReferenceEntry(stamp, found))
            return found

    def hangs_on_order(self, model: nn.Module, calls: Sequence[Call], start: Snapshot | None) -> bool:
        """Tell whether forward calls, one after the other, get other answers than each by itself would."""
        inputs = [call.inputs for call in calls]
        with in_state(model, start):
            together = _answers(model, inputs)
            alone = [_answer(model, item) for item in inputs]
        return any(self_agreement(one, other) for one, other in zip(alone, together, strict=True))

    def sequence(
        self,
        model: nn.Module,
        calls: Sequence[Call],
        precision: Precision,
        only: tuple[str, ...],
        start: Snapshot | None,
    ) -> list[References]:
        """Return what eager gives for forward calls one after the other, each from the state that the last one left.

        Raises:
            EagerError: eager raises, or two runs of the sequence disagree.
        """
        inputs = [call.inputs for call in calls]
        with in_state(model, start):
            expected, unproven = _agreed(model, inputs, only)
            exact = _answers_in(torch.float64, model, inputs)
            dtype = _DTYPES.get(precision)
            rounding: Sequence[Any] = expected if precision is Precision.FP32 else [None] * len(inputs)
            if precision is Precision.INT8:
                rounding = in_fake_int8(lambda: _answers(model, inputs)) or rounding
            if dtype is not None:
                rounding = [tree.cast_floats(answer, torch.float32) for answer in _answers_in(dtype, model, inputs)]
        answers = zip(expected, exact, rounding, strict=True)
        return [References(*items, unproven=unproven) for items in answers]


def run_in(model: nn.Module, inputs: Inputs, dtype: torch.dtype) -> Answer | None:
    """Return what eager gives with weights and float inputs in ``dtype``; None where the model can't run so."""
    try:
        if _size(model) * dtype.itemsize > CASTS_BYTES:
            return _run_large(model, inputs, dtype)
        casts, stamp = _casts.setdefault(model, dict), weights_stamp(model)
        if dtype not in casts or casts[dtype][0] != stamp:
            casts[dtype] = (stamp, _taking_after(model, cast_copy(model, dtype)))
        return _run_cast(casts[dtype][1], inputs, dtype)
    except CpuaccelError:
        return None


def rounded(model: nn.Module, inputs: Inputs, precision: Precision) -> Answer | None:
    """Return what eager gives, in fp32, when run in a precision; None where it can't run so, or none is meant."""
    if precision is Precision.FAST_GELU:
        with _FastGelu():
            return _answer(model, inputs)
    if precision is Precision.INT8:
        return in_fake_int8(lambda: _answer(model, inputs))
    dtype = _DTYPES.get(precision)
    answer = None if dtype is None else run_in(model, inputs, dtype)
    return None if answer is None else tree.cast_floats(answer, torch.float32)


_casts: ByIdentity[nn.Module, dict[torch.dtype, tuple[str, nn.Module]]] = ByIdentity()
"""Copies of models in other precisions, with the stamps of the weights that they were made of."""


def check_agreement(model: nn.Module, inputs: Inputs, only: tuple[str, ...]) -> None:
    """Check that eager answers a forward call twice alike, from one state, whatever random numbers it draws.

    Raises:
        EagerError: it disagrees with itself in the outputs of these names (none: in any).
    """
    _agreed(model, [inputs], only)


def forget_casts(model: nn.Module) -> None:
    """Let copies of a model in other precisions be made anew: something else than its weights may have changed."""
    for _, cast in (_casts.pop(model) or {}).values():
        drop_weights(cast)


def _run_large(model: nn.Module, inputs: Inputs, dtype: torch.dtype) -> Answer:
    """What a copy gives that is not kept; a light one, if it can run."""
    if leaves_parameters_alone(model):
        with contextlib.suppress(CpuaccelError):
            return _run_cast(_taking_after(model, light_cast_copy(model, dtype)), inputs, dtype)
    whole = _taking_after(model, cast_copy(model, dtype))
    try:
        return _run_cast(whole, inputs, dtype)
    finally:
        drop_weights(whole)


def _run_cast(cast: nn.Module, inputs: Inputs, dtype: torch.dtype) -> Answer:
    answer = _answer(cast, private_inputs(inputs, dtype))
    return replace(answer, output=tree.map_leaves(_detached, answer.output))


def _taking_after(model: nn.Module, copied: nn.Module) -> nn.Module:
    take_after(copied, model)
    return copied


def _detached(leaf: Any) -> Any:
    """The leaf, which may be one of the model's own parameters, apart from the model."""
    return plain(leaf.detach()) if isinstance(leaf, torch.Tensor) else leaf


def _size(model: nn.Module) -> int:
    """Elements of a model's parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def _references(model: nn.Module, inputs: Inputs, precision: Precision, only: tuple[str, ...]) -> References:
    seen = _twice(model, inputs, only)
    expected = seen.expected
    if seen.state:
        return References(expected, state=seen.state)
    unproven = _check(model, [inputs], [expected], only).unproven() if seen.draws else ()
    exact = selected(lambda: run_in(model, inputs, torch.float64), expected)
    rounding = expected if precision is Precision.FP32 else _rounding(model, inputs, precision)
    in_loops = None if precision in REDUCED else reordered(lambda: _answer(model, inputs))
    chosen = of_outputs(expected, seen.selections, exact.found)
    ties = ties_of(lambda: _answer(model, inputs), expected) if seen.selects else None
    return References(expected, exact.answer, rounding, in_loops, chosen, (), seen.touched, unproven, ties)


@dataclass(frozen=True)
class _Seen:
    """``state`` names what calls change, ``touched`` what a first call does.

    ``draws`` tells whether random numbers are drawn, ``selects`` whether indices are chosen by scores.
    """

    expected: Answer
    selections: tuple[Selection, ...]
    state: tuple[str, ...]
    touched: tuple[str, ...]
    draws: bool
    selects: bool


def _twice(model: nn.Module, inputs: Inputs, only: tuple[str, ...]) -> _Seen:
    """What is seen when eager is asked twice; the second answer is gone before anything else is run."""
    with untouched(model) as start:
        with seeded() as generators:
            expected = tree.clone(call_eager(model, "forward", inputs))
            draws = Generators.now() != generators
        touched = tuple(start.changes())
        before = Snapshot.of(model)
        with seeded() as generators:
            found = selected(lambda: _called_from(before, generators, inputs), expected)
            repeated, draws = found.answer, draws or Generators.now() != generators
        state = tuple(before.changes())
    if touched and not state and self_agreement(expected, repeated):
        state = touched
    if not state:
        _check_agreement(model, expected, repeated, only, draws=draws)
    return _Seen(expected, found.found, state, touched, draws, found.selects)


def _called_from(start: Snapshot, generators: Generators, inputs: Inputs) -> Answer:
    """What eager gives from a state, into which it is brought first: a call before this one may have ended half-way."""
    start.restore()
    generators.restore()
    return call_eager(start.model, "forward", inputs)


def _rounding(model: nn.Module, inputs: Inputs, precision: Precision) -> Answer | None:
    """As :func:`rounded`, but in the type that it was found in, which takes half the memory."""
    dtype = _DTYPES.get(precision)
    return rounded(model, inputs, precision) if dtype is None else run_in(model, inputs, dtype)


def _agreed(model: nn.Module, inputs: Sequence[Inputs], only: tuple[str, ...]) -> tuple[list[Answer], tuple[str, ...]]:
    """The answers to calls in a row, and the generators of :meth:`RandomnessCheck.unproven`.

    Raises:
        EagerError: two runs disagree.
    """
    expected = _answers(model, inputs)
    with seeded() as before:
        again = _in_a_row(model, inputs)
        draws = Generators.now() != before
    for one, other in zip(expected, again, strict=True):
        _check_agreement(model, one, other, only, draws=draws)
    return expected, _check(model, inputs, expected, only).unproven() if draws else ()


def _check_agreement(model: nn.Module, one: Answer, other: Answer, only: tuple[str, ...], *, draws: bool) -> None:
    """Check that two answers to a call agree.

    Raises:
        EagerError: they don't; the text tells a model that draws random numbers from one that keeps state unseen.
    """
    if disagreement := self_agreement(one, other, only):
        if disagreement.endswith(IS_IT_RANDOM) and not draws:
            disagreement = (
                f"{disagreement.removesuffix(f': {IS_IT_RANDOM}')}, though the random generators of torch, "
                f"numpy and Python drew nothing: {type(model).__name__} keeps state where it can't be followed (keep "
                "it in a buffer or an attribute), or draws from another source"
            )
        raise EagerError(disagreement)


def _check(
    model: nn.Module, inputs: Sequence[Inputs], answers: Sequence[Answer], only: tuple[str, ...]
) -> RandomnessCheck:
    return RandomnessCheck(lambda: _in_a_row(model, inputs), answers, only)


def _answer(model: nn.Module, inputs: Inputs) -> Answer:
    """What eager gives, with the random numbers that every other run of it draws too."""
    with seeded():
        return answer_of(model, "forward", inputs)


def _answers(model: nn.Module, inputs: Sequence[Inputs]) -> list[Answer]:
    """What eager gives for calls in a row, with the random numbers that every other run of them draws too."""
    with seeded():
        return _in_a_row(model, inputs)


def _in_a_row(model: nn.Module, inputs: Sequence[Inputs]) -> list[Answer]:
    with untouched(model):
        return [tree.clone(call_eager(model, "forward", item)) for item in inputs]


def _answers_in(dtype: torch.dtype, model: nn.Module, inputs: Sequence[Inputs]) -> Sequence[Answer | None]:
    try:
        cast = _taking_after(model, cast_copy(model, dtype))
        return _answers(cast, [private_inputs(item, dtype) for item in inputs])
    except CpuaccelError:
        return [None] * len(inputs)


class _FastGelu(TorchFunctionMode):
    """Approximates, while entered, every GELU by tanh."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        return func(*args, **(given | {"approximate": "tanh"} if func is torch.nn.functional.gelu else given))
