"""A call as a graph, after what a decoder would supply by itself has been put in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.tools import decoding
from pytest_cpuaccel.build.tools.graph import Graph
from pytest_cpuaccel.build.tools.shapes import Shapes
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class PreparedCall:
    """``prepare`` completes inputs, ``graph`` is of completed ones, ``example`` are the tensors it was made from."""

    graph: Graph
    prepare: Callable[[Inputs], Inputs]
    example: tuple[torch.Tensor, ...]

    @staticmethod
    def of(module: nn.Module, subject: Subject, positions: str | None) -> PreparedCall:
        """Return the subject's call; ``positions`` as in :class:`~pytest_cpuaccel.build.tools.route.Route`."""
        prepare = _preparation(module, positions)
        inputs = prepare(subject.inputs)
        graph = Graph.of(module, inputs, _answers(subject))
        return PreparedCall(graph, prepare, graph.tensors(inputs))

    def tensors(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        """Return the tensors of a call in the graph's order."""
        return self.graph.tensors(self.prepare(Inputs(args, kwargs)))

    def accepted_by(self, shapes: Shapes) -> Callable[[Inputs], bool]:
        """Return whether inputs make the same graph, of tensors of the same kinds and of these shapes."""
        kinds = [_kind(tensor) for tensor in self.example]

        def accepts(inputs: Inputs) -> bool:
            try:
                prepared = self.prepare(inputs)
                if not self.graph.fits(prepared):
                    return False
            except BuildError:
                return False
            tensors = self.graph.tensors(prepared)
            return [_kind(tensor) for tensor in tensors] == kinds and shapes.include(tensor.shape for tensor in tensors)

        return accepts


def _answers(subject: Subject) -> Any:
    """What the model answered, without the encoder's outputs that ``generate()`` keeps from step to step."""
    if not subject.generates or not isinstance(subject.expected, Mapping):
        return subject.expected
    return type(subject.expected)(**{n: v for n, v in subject.expected.items() if not n.startswith("encoder_")})


def _preparation(module: nn.Module, positions: str | None) -> Callable[[Inputs], Inputs]:
    if positions is None:
        return lambda inputs: inputs
    signature = inspect.signature(module.forward)

    def prepare(inputs: Inputs) -> Inputs:
        try:
            given = signature.bind(*inputs.args, **inputs.kwargs).arguments
        except TypeError as mistake:
            raise BuildError(f"the call does not fit forward(): {mistake}") from None
        given.update(given.pop("kwargs", {}))
        return Inputs(kwargs=decoding.completed(given, positions))

    return prepare


def _kind(tensor: torch.Tensor) -> str:
    """What a cast would have to preserve: 0/1 masks mean other things as bool, as integers and as floats."""
    if tensor.dtype == torch.bool or tensor.is_complex():
        return str(tensor.dtype).removeprefix("torch.")
    return "float" if tensor.is_floating_point() else "integer"
