"""A step of a decoder as a graph: new tokens and a cache in, logits and the grown cache out. A prompt is its first."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import kv_cache
from pytest_cpuaccel.backends.toolkit.graph import FlatModule, Graph
from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout
from pytest_cpuaccel.backends.toolkit.prepared import PreparedCall
from pytest_cpuaccel.backends.toolkit.runtime import Ports, Steps
from pytest_cpuaccel.backends.toolkit.shapes import Shape
from pytest_cpuaccel.backends.toolkit.torch_export import agree, guarded, placeholders
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Tensors = tuple[torch.Tensor, ...]

KEEP = "logits_to_keep"
"""The positions whose logits are wanted, as indices: of a prompt, a loop reads the last one alone."""

_TEXT = frozenset({"input_ids", "attention_mask", "position_ids", "token_type_ids"})

_EXAMPLE = (3, 4, 5)
"""Batch, new tokens and length of the cache, all different, so that none is taken for another."""

_PROVED = ((3, 4, 5), (2, 7, 0), (2, 1, 6), (1, 1, 0), (1, 3, 0), (1, 1, 9), (4, 3, 1))
"""Sizes on which program and module are compared: those of 0 and 1 are among them, which torch.export takes no note of.
"""

_ASKED = ((2, 5, 0), (2, 1, 5))
"""Sizes of the two steps that a graph is asked once a runtime has opened it: a prompt, and the token after it."""

_ALLOWED = ((2, 3, 5), (7, 2, 3), (2, 61, 2), (5, 3, 1021), (2, 1031, 517))
"""Sizes that the program's guards must allow, standing for all from 2 up."""


@dataclass(frozen=True)
class Step:
    """The graph of a step: the inputs of ``call``, then :data:`KEEP` where the model takes it, then the cache."""

    call: PreparedCall
    layout: CacheLayout
    keeps: bool

    @staticmethod
    def of(module: nn.Module, call: PreparedCall, layout: CacheLayout) -> Step:
        """Return the step whose first one is ``call``.

        Raises:
            BuildError: the call has more than text, or more than tensors.
        """
        graph = call.graph
        odd = [name for name, _ in graph.constants] + [name for name in graph.input_names if name not in _TEXT]
        odd += [name for name, tensor in zip(graph.input_names, call.example, strict=True) if tensor.dim() != 2]
        if odd:
            raise BuildError(f"a graph with a cache has no place for {', '.join(dict.fromkeys(odd))}")
        return Step(call, layout, KEEP in inspect.signature(module.forward).parameters)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Return the names of the graph's inputs without the cache's."""
        return (*self.call.graph.input_names, KEEP) if self.keeps else self.call.graph.input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        """Return the names of the graph's outputs without the cache's."""
        return self.call.graph.output_names

    @property
    def ports(self) -> Ports:
        """Return the names of the graph's inputs and outputs."""
        return Ports(self.input_names, self.output_names, self.layout)

    def example(self, batch: int, length: int, past: int) -> Tensors:
        """Return inputs of a step of these sizes, the first text with padding on its left."""
        names, tensors = self.call.graph.input_names, self.call.example
        given = [_resized(*pair, batch, length, past) for pair in zip(names, tensors, strict=True)]
        if self.keeps:
            given.append(torch.arange(max(0, length - 2), length))
        return (*given, *self.layout.of_length(batch, past))

    def shapes(self, batch: int, length: int, past: int) -> list[Shape]:
        """Return the shapes of :meth:`example`, whose cache would be large."""
        texts = [(batch, past + length if name == "attention_mask" else length) for name in self.call.graph.input_names]
        kept: list[Shape] = [(min(2, length),)] if self.keeps else []
        return [*texts, *kept, *((batch, heads, past, width) for heads, width in self.layout.sizes)]


class StepModule(FlatModule):
    """Takes and returns the tensors of a step."""

    def __init__(self, module: nn.Module, graph: Graph, step: Step) -> None:
        super().__init__(module, graph)
        self._step = step
        parameters = inspect.signature(module.forward).parameters.values()
        takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
        self._flag = {"use_cache": True} if takes_any or "use_cache" in {item.name for item in parameters} else {}

    def forward(self, *tensors: torch.Tensor) -> Tensors:
        """Run the module on the tensors of a step."""
        step, count = self._step, len(self._step.input_names)
        cache = kv_cache.filled(tensors[count:])
        kept = {KEEP: tensors[count - 1]} if step.keeps else {}
        given = tensors[: len(step.call.graph.input_names)]
        outputs = self.run(given, **{step.layout.argument: cache}, **kept, **self._flag)
        return (*outputs, *kv_cache.tensors_of(cache))


def export(module: nn.Module, step: Step) -> ExportedProgram:
    """Export a step with batch, new tokens and the length of the cache dynamic.

    Raises:
        BuildError: the program is not right for all such sizes.
    """
    flat, example = StepModule(module, step.call.graph, step), step.example(*_EXAMPLE)
    dynamic = tuple(_dynamic(tensor) for tensor in example)
    with torch.no_grad():
        program = torch.export.export(flat, example, dynamic_shapes=(dynamic,), strict=False)
    shapes = guarded(placeholders(program, len(example)), example)
    for sizes in _ALLOWED:
        if not shapes.include(step.shapes(*sizes)):
            raise BuildError("the graph of a step with a cache is not right for every batch and length")
    for sizes in _PROVED:
        if not agree(flat, program, step.example(*sizes)):
            batch, length, past = sizes
            raise BuildFailureError(
                f"the graph of a step with a cache is wrong for {batch}x{length} tokens after {past}"
            )
    return program


def answers(step: Step, module: nn.Module) -> list[Tensors]:
    """Return what a module answers, without its cache, to a prompt and to the token after it."""
    flat, past, found = StepModule(module, step.call.graph, step), step.layout.of_length(2, 0), []
    for sizes in _ASKED:
        with torch.no_grad():
            answer = flat(*step.example(*sizes)[: len(step.input_names)], *past)
        found.append(answer[: len(step.output_names)])
        past = answer[len(step.output_names) :]
    return found


def check(step: Step, steps: Steps, expected: Sequence[Tensors]) -> None:
    """Check of a graph that a runtime opened that it gives the expected :func:`answers`.

    Raises:
        BuildError: it does not.
    """
    cache = kv_cache.empty()
    for sizes, wanted in zip(_ASKED, expected, strict=True):
        if not all(map(_close, steps.run(step.example(*sizes)[: len(step.input_names)], cache), wanted)):
            raise BuildFailureError(f"it answers a step of {sizes[1]} tokens after {sizes[2]} otherwise than eager")


def _close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether they differ by less than 2 % of their size: rounding is far below that, a wrong graph far above."""
    return actual.shape == expected.shape and bool((actual - expected).norm() <= 0.02 * expected.norm())


def _dynamic(tensor: torch.Tensor) -> dict[int, object]:
    axes = (0, 2) if tensor.dim() == 4 else range(tensor.dim())
    return dict.fromkeys(axes, torch.export.Dim.AUTO)


def _resized(name: str, tensor: torch.Tensor, batch: int, length: int, past: int) -> torch.Tensor:
    if name == "attention_mask":
        mask = torch.ones(batch, past + length, dtype=tensor.dtype)
        mask[0, : (past + length) // 3] = 0
        return mask
    if name == "position_ids":
        return torch.arange(past, past + length, dtype=tensor.dtype).repeat(batch, 1)
    return tensor.reshape(-1).repeat(1 + batch * length // tensor.numel())[: batch * length].reshape(batch, length)
