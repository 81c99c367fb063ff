"""A frozen TorchScript trace, called like the model that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.tools.graph import Graph
from pytest_cpuaccel.core.inputs import Inputs

Layout = tuple[tuple[torch.Size, torch.dtype], ...]


@dataclass(frozen=True)
class Trace:
    """``script`` holds the graph, whose example had tensors of these shapes and types."""

    script: torch.jit.ScriptModule
    graph: Graph
    layout: Layout

    @staticmethod
    def of(script: torch.jit.ScriptModule, graph: Graph, inputs: Inputs) -> Trace:
        """Return the trace after two calls: the executor profiles the first and optimises in the second."""
        example = graph.tensors(inputs)
        with torch.no_grad():
            script(*example)
            script(*example)
        return Trace(script, graph, layout(example))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the trace and return its outputs as eager returns them."""
        return self.graph.rebuild(self.script(*self.graph.tensors(Inputs(args, kwargs))))

    def accepts(self, inputs: Inputs) -> bool:
        """Tell whether a call has the shapes, types and constants of the example.

        A trace follows the path that its example took, and gives no sign when others would take another.
        """
        return self.graph.fits(inputs) and layout(self.graph.tensors(inputs)) == self.layout


def frozen_trace(module: nn.Module, graph: Graph, inputs: Inputs) -> torch.jit.ScriptModule:
    """Return ``module``, a private copy, traced over one call and frozen."""
    return frozen(graph.flatten(module).eval(), graph.tensors(inputs))


def frozen(flat: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    """Return a module of flat tensors traced over ``example`` and frozen."""
    with torch.no_grad():
        traced = torch.jit.trace(flat, example, strict=False)  # type: ignore[no-untyped-call]
        script: torch.jit.ScriptModule = torch.jit.freeze(traced)
    return script


def layout(tensors: tuple[torch.Tensor, ...]) -> Layout:
    """Return shape and type of every tensor."""
    return tuple((tensor.shape, tensor.dtype) for tensor in tensors)
