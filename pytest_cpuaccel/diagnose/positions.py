"""The positions that a model gives to tokens if the call has none."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.decoding import POSITIONS
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.measure.parity.agreement import self_agreement


def positions_of(model: nn.Module, inputs: Inputs) -> torch.Tensor | None:
    """Return the ``position_ids`` of a call, or those that the model supplies itself; None where it takes none."""
    given, ids = inputs.kwargs.get("position_ids"), inputs.kwargs.get("input_ids")
    if isinstance(given, torch.Tensor):
        return given
    if "position_ids" not in inspect.signature(model.forward).parameters or not isinstance(ids, torch.Tensor):
        return None
    mask = inputs.kwargs.get("attention_mask")
    mask = torch.ones_like(ids) if mask is None else mask
    expected = run_eager(model, "forward", inputs)
    for positions in _conventions(model, ids, mask):
        explicit = Inputs(inputs.args, {**inputs.kwargs, "position_ids": positions})
        try:
            if self_agreement(expected, run_eager(model, "forward", explicit)) is None:
                return positions
        except EagerError:
            continue
    return None


def _conventions(model: nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> Iterator[torch.Tensor]:
    """Positions as decoders number them, and as RoBERTa does: from behind the id of padding."""
    yield from (rule(ids, mask) for rule in POSITIONS.values())
    padding: Any = getattr(getattr(model, "config", None), "pad_token_id", None)
    if padding is not None:
        real = (ids != padding).long()
        yield real.cumsum(-1) * real + padding
