"""The example of an export: its inputs, and figures of eager's answer, which show later whether it is still right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.builder.artifact import EXAMPLE
from pytest_cpuaccel.builder.eager import named_inputs, run_eager
from pytest_cpuaccel.builder.fingerprint import inputs_digest
from pytest_cpuaccel.builder.random_generators import seeded
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.inputs import Inputs

MOST_BYTES = 64 * 2**20
"""Most bytes of inputs kept with an artifact; if a call has more, the artifact serves calls with equal inputs only."""

_SAMPLE = 4096
"""Elements kept of each output, evenly spread."""

_PIECE = 1 << 16
"""Elements whose fp64 values are in memory at a time."""

_BITS = 64
"""Bits of an integer in a tensor, including its sign."""

_ALIKE = 1e-5
"""Difference, relative to an output's size, below which an answer is taken to be the same. IPEX, once imported, moves
eager's own answers by up to 7e-6. An edit with a smaller effect shows in the parity verdict, which is repeated on a
fresh export before it fails."""

Figures = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Example:
    """Inputs of a forward call of ``model``, and eager's present answer to them."""

    model: nn.Module
    inputs: Inputs
    answer: Any

    def write(self, folder: Path) -> None:
        """Write the inputs, and figures of eager's answer, to an artifact's folder."""
        tensors = list(_tensors(self.model, self.inputs))
        fits = sum(tensor.numel() * tensor.element_size() for tensor in tensors) <= MOST_BYTES
        kept = {
            "inputs": tensors if fits else inputs_digest(self.inputs),
            "answers": dict(figures(self.answer)),
        }
        torch.save(kept, folder / EXAMPLE)

    def is_that_of(self, folder: Path) -> bool:
        """Tell whether eager still gives the answer that an artifact was exported with."""
        try:
            kept = torch.load(folder / EXAMPLE, weights_only=True)
            inputs = self._inputs(kept["inputs"])
            return inputs is not None and alike(self._answers_to(inputs), kept["answers"])
        except (EagerError, OSError, RuntimeError, KeyError, ValueError, EOFError):
            return False

    def _answers_to(self, inputs: Inputs) -> Figures:
        if inputs_digest(inputs) == inputs_digest(self.inputs):
            return figures(self.answer)
        return seeded_figures(self.model, inputs)

    def _inputs(self, kept: list[torch.Tensor] | str) -> Inputs | None:
        """Return the kept tensors in the structure of today's call; the artifact's key ensures that it is the same."""
        if isinstance(kept, str):
            return self.inputs if inputs_digest(self.inputs) == kept else None
        remaining = iter(kept)

        def restored(leaf: Any) -> Any:
            if isinstance(leaf, np.ndarray):
                return next(remaining).numpy()
            return next(remaining) if isinstance(leaf, torch.Tensor) else leaf

        args = tree.map_leaves(restored, self.inputs.args)
        return Inputs(args, tree.map_leaves(restored, dict(self.inputs.kwargs)))


def seeded_figures(model: nn.Module, inputs: Inputs) -> Figures:
    """Return figures of eager's answer to a call that draws the same random numbers each time.

    Raises:
        EagerError: the eager model raises on these inputs.
    """
    with seeded():
        return figures(run_eager(model, "forward", inputs))


def figures(answer: Any) -> Figures:
    """Map each output's name, type and shape to a sample of its elements, their root mean square and maximum."""
    return dict(_figures(name or "output", leaf) for name, leaf in tree.named_leaves(answer) if _is_number(leaf))


def alike(one: Figures, other: Figures) -> bool:
    """Tell whether two answers have the same outputs and, but for rounding, equal values."""
    return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    same = (one == other) | (one.isnan() & other.isnan())
    finite = other[other.isfinite()]
    largest = float(finite.abs().max()) if len(finite) else 0.0
    return bool((same | ((one - other).abs() <= _ALIKE * largest)).all())


def _figures(name: str, leaf: Any) -> tuple[str, torch.Tensor]:
    values = torch.as_tensor(leaf).detach()
    values = values.to_dense() if values.layout is not torch.strided else values
    key = f"{name} {values.dtype} {tuple(values.shape)}"
    flat = (torch.view_as_real(values.resolve_conj()) if values.is_complex() else values).reshape(-1)
    if not flat.numel():
        return key, torch.empty(0, dtype=torch.float64)
    sample = flat[:: max(1, flat.numel() // _SAMPLE)].double()
    return key, torch.cat([sample, *_size(flat)])


def _size(flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the root mean square and the maximum of a vector's absolute values, computed piece by piece."""
    squares, largest = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for part in flat.split(_PIECE):  # type: ignore[no-untyped-call]
        size = part.double().abs()
        squares += size.square().sum()
        largest = torch.maximum(largest, size.max())
    return (squares / flat.numel()).sqrt(), largest


def _is_number(leaf: Any) -> bool:
    if isinstance(leaf, torch.Tensor):
        return not leaf.is_nested
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind in "biufc"
    if isinstance(leaf, int):
        return leaf.bit_length() < _BITS
    return isinstance(leaf, (float, complex))


def _tensors(model: nn.Module, inputs: Inputs) -> list[torch.Tensor]:
    leaves = named_inputs(model, inputs).values()
    return [torch.as_tensor(leaf) for leaf in leaves if isinstance(leaf, (torch.Tensor, np.ndarray))]
