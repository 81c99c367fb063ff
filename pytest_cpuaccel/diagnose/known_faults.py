"""Known faults: well-known mistakes, as inputs with which eager makes them too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.diagnose.positions import positions_of

SEQUENCES = ("input_ids", "input_values", "attention_mask")
"""Inputs whose second dimension is that of a sequence."""


@dataclass(frozen=True)
class KnownFault:
    """A fault. It is proved if the wrong answer is eager's answer to ``inputs``, in ``precision``."""

    sentence: str
    inputs: Inputs
    precision: Precision


def known_faults(given: Inputs, model: nn.Module, precision: Precision) -> Iterator[KnownFault]:
    """Yield the faults that are possible in a forward call with these inputs."""
    kwargs = dict(given.kwargs)
    mask = kwargs.get("attention_mask")
    if isinstance(mask, torch.Tensor) and bool((mask == 0).any()):
        unmasked = Inputs(given.args, {**kwargs, "attention_mask": torch.ones_like(mask)})
        yield KnownFault("this is eager's answer without attention_mask: is the mask ignored?", unmasked, precision)
    positions = positions_of(model, given)
    if positions is not None:
        for step in (1, -1):
            moved = Inputs(given.args, {**kwargs, "position_ids": positions + step})
            answer = f"this is eager's answer with position_ids {step:+d}"
            yield KnownFault(f"{answer}: are positions off by one?", moved, precision)
    length = sequence_length(given)
    for kept in _kept_by_truncation(length):
        answer = f"this is eager's answer to the first {kept} of {length} tokens"
        yield KnownFault(f"{answer}: is the sequence truncated?", first_tokens(given, length, kept), precision)
    if precision is Precision.FP32:
        for lower in (Precision.BF16, Precision.FP16):
            yield KnownFault(f"this errs as eager in {lower.value} does: did it run in {lower.value}?", given, lower)


def sequence_length(inputs: Inputs) -> int:
    """Return the number of tokens, or of samples of sound, of a call; 0 where its inputs tell of none."""
    named = (inputs.kwargs.get(name) for name in SEQUENCES)
    return next((item.shape[1] for item in named if isinstance(item, torch.Tensor) and item.dim() > 1), 0)


def first_tokens(inputs: Inputs, length: int, kept: int) -> Inputs:
    """Return inputs whose sequences, all those of this length, are cut."""

    def cut(value: Any) -> Any:
        is_sequence = isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[1] == length
        return value[:, :kept] if is_sequence else value

    return Inputs(inputs.args, {name: cut(value) for name, value in inputs.kwargs.items()})


def _kept_by_truncation(length: int) -> list[int]:
    """All but one token, all but two, and the powers of two below: as truncation leaves them."""
    power = 1 << max((length - 1).bit_length() - 1, 0)
    return [kept for kept in dict.fromkeys((length - 1, length - 2, power, power // 2)) if 0 < kept < length]
