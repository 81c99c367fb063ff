"""The faults: each by one small function, in an honest backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.bf16 import BF16
from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.diagnose.known_faults import first_tokens, sequence_length
from pytest_cpuaccel.diagnose.positions import positions_of
from tests.faults.fault import Fault, keyword, with_inputs, with_module, with_output

NUDGE = 1e-3


def swapped_outputs(honest: Backend) -> Backend:
    def swap(output: Any) -> Any:
        leaves = [*tree.tensors(without_state(output))]
        swapped = iter([leaves[1], leaves[0], *leaves[2:]] if len(leaves) > 1 else leaves)
        return tree.map_leaves(
            lambda leaf: next(swapped) if isinstance(leaf, torch.Tensor) else leaf, without_state(output)
        )

    return with_output(honest, swap)


def dropped_output(honest: Backend) -> Backend:
    def drop(output: Any) -> Any:
        leaves = dict(tree.named_leaves(without_state(output)))
        if len(leaves) > 1:
            leaves.popitem()
        return leaves

    return with_output(honest, drop)


def one_nan(honest: Backend) -> Backend:
    def spoil(output: Any) -> Any:
        spoilt = tree.clone(without_state(output))
        first = next(tree.tensors(spoilt))
        first[(0,) * first.dim()] = torch.nan
        return spoilt

    return with_output(honest, spoil)


def ignored_mask(honest: Backend) -> Backend:
    return with_inputs(honest, keyword("attention_mask", torch.ones_like))


def mixed_rows(honest: Backend) -> Backend:
    """Every row is answered with that of its neighbour."""

    def mix(inputs: Inputs, subject: Subject) -> Inputs:  # noqa: ARG001
        return tree.map_leaves(lambda leaf: leaf.roll(1, 0) if isinstance(leaf, torch.Tensor) else leaf, inputs)

    return with_inputs(honest, mix)


def truncated(honest: Backend) -> Backend:
    """The last two tokens are lost."""

    def cut(inputs: Inputs, subject: Subject) -> Inputs:  # noqa: ARG001
        length = sequence_length(inputs)
        return first_tokens(inputs, length, length - 2) if length else inputs

    return with_inputs(honest, cut)


def positions_off_by_one(honest: Backend) -> Backend:
    def shift(inputs: Inputs, subject: Subject) -> Inputs:
        positions = positions_of(subject.fresh_module(), inputs)
        return inputs if positions is None else Inputs(inputs.args, {**inputs.kwargs, "position_ids": positions + 1})

    return with_inputs(honest, shift)


def baked_shape(honest: Backend) -> Backend:
    """Inputs of any other shape are cut, or filled up with zeros, to that of the traced call, and so are its rows."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = honest.load(subject, folder)

        def forward(**kwargs: Any) -> Any:
            if all(value.shape == subject.inputs.kwargs[name].shape for name, value in kwargs.items()):
                return built.forward(**kwargs)
            fitted = {name: fit(value, subject.inputs.kwargs[name].shape) for name, value in kwargs.items()}
            batch = next(iter(kwargs.values())).shape[0]
            answer = built.forward(**fitted)
            return tree.map_leaves(
                lambda leaf: fit(leaf, (batch, *leaf.shape[1:])) if isinstance(leaf, torch.Tensor) else leaf,
                without_state(answer),
            )

        return replace(built, forward=forward)

    return replace(honest, load=load)


def fit(tensor: torch.Tensor, shape: Any) -> torch.Tensor:
    fitted = tensor.new_zeros(shape)
    common = tuple(slice(min(pair)) for pair in zip(tensor.shape, shape, strict=True))
    fitted[common] = tensor[common]
    return fitted


def nudged_weight(honest: Backend) -> Backend:
    """One entry of the largest matrix of the middle layer that multiplies."""

    def nudge(module: nn.Module) -> nn.Module:
        matrices = multiplied(module)
        matrix = matrices[len(matrices) // 2]
        with torch.no_grad():
            matrix.view(-1)[matrix.abs().argmax()] += NUDGE
        return module

    return with_module(honest, nudge)


def stale_export(honest: Backend) -> Backend:
    """All weights are as they were a short training ago: each matrix was off by 1 % of its size."""

    def age(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for matrix in multiplied(module):
                noise = torch.randn(matrix.shape, generator=generator, dtype=matrix.dtype)
                matrix += 0.01 * matrix.square().mean().sqrt() * noise
        return module

    return with_module(honest, age)


def dropout_left_on(honest: Backend) -> Backend:
    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        module = subject.fresh_module()
        for layer in module.modules():
            layer.training = not isinstance(layer, nn.modules.batchnorm._BatchNorm)
        return replace(honest.load(subject, folder), forward=module)

    return replace(honest, load=load)


def absurd_scale(honest: Backend) -> Backend:
    """Weights rounded to int8 by a scale that is 100 times too large, so that most of them become zero."""

    def quantise(module: nn.Module) -> nn.Module:
        with torch.no_grad():
            for matrix in multiplied(module):
                scale = 100 * matrix.abs().max() / 127
                matrix.copy_((matrix / scale).round().clamp(-128, 127) * scale)
        return module

    return replace(with_module(honest, quantise), precision=Precision.INT8)


def multiplied(module: nn.Module) -> list[torch.Tensor]:
    """Matrices that a layer multiplies by: no embeddings, no norms."""
    layers = (layer for layer in module.modules() if not isinstance(layer, nn.Embedding))
    return [item for layer in layers for item in layer.parameters(recurse=False) if item.dim() > 1]


FAULTS = (
    Fault("swapped outputs", swapped_outputs(EAGER), r"were outputs swapped|is what eager returns as"),
    Fault("dropped output", dropped_output(EAGER), r"is missing"),
    Fault("one NaN", one_nan(EAGER), r"is nan at \["),
    Fault("ignored attention mask", ignored_mask(EAGER), r"mask ignored|attention_mask ignored"),
    Fault("batch rows mixed up", mixed_rows(EAGER), r"was the batch reordered"),
    Fault("truncated sequence", truncated(EAGER), r"is the sequence truncated"),
    Fault("positions off by one", positions_off_by_one(EAGER), r"are positions off by one"),
    Fault("right at the traced shape only", baked_shape(EAGER), r"made for these very inputs answers right"),
    Fault("one weight off by 1e-3", nudged_weight(EAGER), r"other weights"),
    Fault("stale export", stale_export(EAGER), r"other weights"),
    Fault("silent bf16", replace(BF16, precision=Precision.FP32), r"did (the model|it) run in bf16"),
    Fault("dropout left on", dropout_left_on(EAGER), r"is dropout on"),
    Fault("int8 of absurd scale", absurd_scale(EAGER), r"is a scale wrong"),
    Fault("silently eager", replace(EAGER, precision=Precision.INT8), r"nothing ran in int8", always=True),
)
