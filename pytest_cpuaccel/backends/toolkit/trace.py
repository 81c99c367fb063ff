"""A frozen TorchScript trace, called like its model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.jit._trace import TracerWarning, TracingCheckError

from pytest_cpuaccel.backends.toolkit.graph import Graph
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError
from pytest_cpuaccel.core.inputs import Inputs

MOST_BY_OPTIMISING = 0.25
"""Relative RMSE that optimising a trace may add; fused bf16 and int8 kernels round differently, by some 0.01."""

_ALIKE = 1e-4
"""Relative RMSE between eager's answers to one call that the order of additions explains, without any state."""

Layout = tuple[tuple[torch.Size, torch.dtype], ...]


@dataclass(frozen=True)
class Trace:
    """``script`` is the graph; its example had tensors of these shapes and types."""

    script: torch.jit.ScriptModule
    graph: Graph
    layout: Layout

    @staticmethod
    def of(script: torch.jit.ScriptModule, graph: Graph, subject: Subject) -> Trace:
        """Return the trace of the subject's call after three calls: the executor profiles one, optimises in the second.

        Raises:
            BuildError: once optimised, it gives another answer to the call, and eager's own answers do not vary.
        """
        example = graph.tensors(subject.inputs)
        with torch.no_grad():  # each on a copy, because a model may write to its inputs
            profiled, _, optimised = (script(*tree.clone(example)) for _ in range(3))
        difference = _difference(optimised, profiled)
        if not difference <= MOST_BY_OPTIMISING and _repeats_itself(subject, graph, example):
            if draws := _random_operators(script):
                raise BuildError(
                    f"its trace draws random numbers ({', '.join(draws)}), and leaves out how the model seeds them"
                )
            raise BuildFailureError(
                f"its trace is miscompiled: once the executor has optimised it, the same call gives an answer "
                f"{difference:.2g} (relative RMSE) from the first one"
            )
        return Trace(script, graph, layout(example))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the trace and return its outputs in eager's structure."""
        return self.graph.rebuild(self.script(*self.graph.tensors(Inputs(args, kwargs))))

    def accepts(self, inputs: Inputs) -> bool:
        """Tell whether a call has the shapes, types and constants of the example.

        A trace records only the branch taken in its example call, and does not tell when another call needs another
        branch.
        """
        return self.graph.fits(inputs) and layout(self.graph.tensors(inputs)) == self.layout


@contextmanager
def values_watched() -> Iterator[list[str]]:
    """Yield a list of the tracer's warnings about tensor values that Python code reads: the trace may depend on them.

    Reads of mere sizes are among them.
    """
    read: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield read
    read += [str(item.message) for item in caught if issubclass(item.category, TracerWarning)]


def frozen_trace(module: nn.Module, graph: Graph, inputs: Inputs) -> torch.jit.ScriptModule:
    """Return ``module``, a private copy, traced over one call and frozen."""
    return frozen(graph.flatten(module).eval(), graph.tensors(inputs))


def frozen(flat: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    """Return a module of flat tensors traced over ``example`` and frozen."""
    with torch.no_grad():
        try:
            traced = torch.jit.trace(flat, example, strict=False)  # type: ignore[no-untyped-call]
        except TracingCheckError as error:
            raise BuildError(
                "traced twice, the model gives two graphs; if its first call sets something up that later calls find, "
                "such as a table, call it once before the test"
            ) from error
        script: torch.jit.ScriptModule = torch.jit.freeze(traced)
    return script


def _random_operators(script: torch.jit.ScriptModule) -> list[str]:
    """Return the names of a graph's operators that draw random numbers, such as ``randn``."""
    names = dict.fromkeys(node.kind().rpartition("::")[2] for node in script.inlined_graph.nodes())
    packets = {name: getattr(torch.ops.aten, name, None) for name in names}
    return [
        name
        for name, packet in packets.items()
        if packet is not None
        and any(torch.Tag.nondeterministic_seeded in getattr(packet, overload).tags for overload in packet.overloads())
    ]


def _repeats_itself(subject: Subject, graph: Graph, example: tuple[torch.Tensor, ...]) -> bool:
    """Tell whether eager gives the same answer three times, so that it draws no random numbers and keeps no state."""
    flat = graph.flatten(subject.fresh_module())
    with torch.no_grad():
        first, *others = (tree.clone(flat(*tree.clone(example))) for _ in range(3))
    return all(_difference(other, first) <= _ALIKE for other in others)


def _difference(actual: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> float:
    """Return the greatest relative RMSE among the outputs that were finite at first; NaN if one no longer is."""
    pairs = [(one.double(), other.double()) for one, other in zip(actual, expected, strict=True)]
    return max(
        (float((one - other).norm() / other.norm().clamp(min=1e-30)) for one, other in pairs if other.isfinite().all()),
        default=0.0,
        key=lambda value: math.inf if math.isnan(value) else value,
    )


def layout(tensors: tuple[torch.Tensor, ...]) -> Layout:
    """Return the shape and type of every tensor."""
    return tuple((tensor.shape, tensor.dtype) for tensor in tensors)
