"""A call as a graph, completed by the arguments that a decoder would supply by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import decoding
from pytest_cpuaccel.backends.toolkit.graph import Graph
from pytest_cpuaccel.backends.toolkit.shapes import Shapes
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class PreparedCall:
    """``prepare`` completes inputs, ``graph`` takes completed ones, ``example`` are the tensors that it was made from.

    ``lacks`` are eager's outputs that the graph leaves out.
    """

    graph: Graph
    prepare: Callable[[Inputs], Inputs]
    example: tuple[torch.Tensor, ...]
    lacks: frozenset[str] = frozenset()

    @staticmethod
    def of(module: nn.Module, subject: Subject, positions: str | None) -> PreparedCall:
        """Return the subject's call; ``positions`` as in :class:`Route`."""
        prepare = decoding.preparation(module, positions)
        inputs = prepare(subject.inputs)
        answers, lacks = _answers(subject)
        graph = Graph.of(module, inputs, answers)
        return PreparedCall(graph, prepare, graph.tensors(inputs), lacks)

    def tensors(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        """Return the tensors of a call in the graph's order."""
        return self.graph.tensors(self.prepare(Inputs(args, kwargs)))

    def accepted_by(self, shapes: Shapes) -> Callable[[Inputs], bool]:
        """Return whether inputs make the same graph, of tensors of the same kinds and of these shapes."""
        if self.graph.has_values:  # these may be sizes
            shapes = Shapes.exactly(self.example)

        def accepts(inputs: Inputs) -> bool:
            return self.refusal(shapes, inputs) is None

        return accepts

    def refusal(self, shapes: Shapes, inputs: Inputs) -> str | None:
        """Return how inputs differ from those that the graph is right for; None if it is right for them."""
        try:
            prepared = self.prepare(inputs)
            unlike = self.graph.unlike(prepared)
        except BuildError as refusal:
            return str(refusal)
        if unlike:
            return unlike
        tensors = self.graph.tensors(prepared)
        for name, tensor, example in zip(self.graph.input_names, tensors, self.example, strict=True):
            if _kind(tensor) != _kind(example) or torch.promote_types(tensor.dtype, example.dtype) != example.dtype:
                return f"{name} of {tensor.dtype}, built for {example.dtype}"
        if shapes.include(tensor.shape for tensor in tensors):
            return None
        return ", ".join(
            f"{name} {'x'.join(map(str, tensor.shape))}"
            for name, tensor in zip(self.graph.input_names, tensors, strict=True)
        )


def _answers(subject: Subject) -> tuple[Any, frozenset[str]]:
    """Return the model's answer without the encoder's outputs: Optimum's generating classes don't return them."""
    if not subject.generates or not isinstance(subject.expected, Mapping):
        return subject.expected, frozenset()
    lacks = frozenset(name for name in subject.expected if name.startswith("encoder_"))
    return type(subject.expected)(**{n: v for n, v in subject.expected.items() if n not in lacks}), lacks


def _kind(tensor: torch.Tensor) -> str:
    """Return the kind of a dtype: a 0/1 mask has other meanings as bool, as integers and as floats."""
    if tensor.dtype == torch.bool or tensor.is_complex():
        return str(tensor.dtype).removeprefix("torch.")
    return "float" if tensor.is_floating_point() else "integer"
