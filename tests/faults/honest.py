"""Honest backends: right arithmetic in another order, which must never be blamed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.backends.sdpa import SDPA
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from tests.faults.fault import with_inputs, with_module

PARTS = 3


class SplitSums(TorchFunctionMode):
    """Matrix products summed in parts of the inner dimension, the last part first."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear and not kwargs:
            bias = args[2] if len(args) > 2 else None
            product = in_parts(args[0], args[1].transpose(0, 1))
            return product if bias is None else product + bias
        if func in (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm) and not kwargs:
            return in_parts(*args) if min(item.dim() for item in args) > 1 else func(*args)
        if func is torch.addmm and not kwargs:
            return in_parts(*args[1:]) + args[0]
        return func(*args, **(kwargs or {}))


def in_parts(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    pairs = [*zip(left.chunk(PARTS, -1), right.chunk(PARTS, -2), strict=True)]
    return sum((torch.matmul(*pair) for pair in reversed(pairs[:-1])), torch.matmul(*pairs[-1]))


def split_sums(honest: Backend) -> Backend:
    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = honest.load(subject, folder)

        def forward(*args: Any, **kwargs: Any) -> Any:
            with SplitSums():
                return built.forward(*args, **kwargs)

        return replace(built, forward=forward)

    return replace(honest, load=load)


def by_fp64(honest: Backend) -> Backend:
    """Computed in float64 and rounded at the end."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        module = subject.fresh_module().double()

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = tree.cast_floats((args, kwargs), torch.float64)
            return tree.cast_floats(module(*given[0], **given[1]), torch.float32)

        return replace(honest.load(subject, folder), forward=forward)

    return replace(honest, load=load)


def row_by_row(honest: Backend) -> Backend:
    """Each item of the batch in a call of its own, where the answers join to eager's."""

    def load(subject: Subject, folder: Path | None) -> BuiltModel:
        built = honest.load(subject, folder)

        def forward(**kwargs: Any) -> Any:
            rows = range(len(next(iter(kwargs.values()))))
            answers = [built.forward(**{name: value[row : row + 1] for name, value in kwargs.items()}) for row in rows]
            joined = (torch.cat(parts) for parts in zip(*map(tree.tensors, answers), strict=True))
            return tree.map_leaves(lambda leaf: next(joined) if isinstance(leaf, torch.Tensor) else leaf, answers[0])

        answer = rehearse(forward, subject.inputs)
        if shapes(answer) != shapes(subject.expected):
            raise BuildError("its answers are not made of a row for each item")
        return replace(built, forward=forward)

    return replace(honest, load=load)


def shapes(value: Any) -> list[torch.Size]:
    return [leaf.shape for leaf in tree.tensors(value)]


def channels_last(honest: Backend) -> Backend:
    def reordered(inputs: Inputs, subject: Subject) -> Inputs:  # noqa: ARG001
        def order(leaf: Any) -> Any:
            is_image = isinstance(leaf, torch.Tensor) and leaf.dim() == 4
            return leaf.to(memory_format=torch.channels_last) if is_image else leaf

        return tree.map_leaves(order, inputs)

    return with_inputs(with_module(honest, lambda module: module.to(memory_format=torch.channels_last)), reordered)


CONTROLS: tuple[Backend, ...] = (
    replace(EAGER, name="eager"),
    replace(split_sums(EAGER), name="sums split along k"),
    replace(by_fp64(EAGER), name="by way of float64"),
    replace(SDPA, name="sdpa"),
    replace(row_by_row(EAGER), name="row by row"),
    replace(channels_last(EAGER), name="channels last"),
)
