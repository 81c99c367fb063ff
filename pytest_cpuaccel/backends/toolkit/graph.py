"""A model call as a pure function from named tensors to named tensors, for tracers and exporters."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache, without_state
from pytest_cpuaccel.core.tensor_hint import tensor_hint
from pytest_cpuaccel.measure.parity.leaves import holds_tensors

_NUMBERS = (bool, int, float, complex, np.number)


@dataclass(frozen=True)
class Graph:
    """The call ``module(*inputs.args, **inputs.kwargs)`` seen as ``tensors -> tensors``.

    ``input_names`` are dotted paths of the tensors among the bound arguments, ``constants`` all other
    arguments, which are part of the graph. ``template`` is eager's output, for its structure. The first ``positional``
    arguments are passed on by position, for hooks that read them.
    """

    parameters: inspect.Signature
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    constants: tuple[tuple[str, str], ...]
    example: Mapping[str, Any]
    template: Any
    positional: int = 0

    @staticmethod
    def of(module: nn.Module, inputs: Inputs, expected: Any) -> Graph:
        """Return the graph of one call whose eager output is ``expected``.

        Raises:
            BuildError: the call has no tensor input or no tensor output.
        """
        parameters = inspect.signature(module.forward)
        example = _bind(parameters, inputs)
        template = without_state(expected)
        leaves = list(tree.named_leaves(template))
        input_names = tuple(name for name, leaf in tree.named_leaves(example) if isinstance(leaf, torch.Tensor))
        output_names = tuple(name or "output" for name, leaf in leaves if isinstance(leaf, torch.Tensor))
        if not input_names or not output_names:
            if not input_names and (hint := tensor_hint(inputs)):
                raise BuildError(f"the call has no tensors among its inputs: {hint}")
            missing = "inputs" if not input_names else "outputs"
            objects = ", ".join(sorted({type(leaf).__name__ for _, leaf in leaves if holds_tensors(leaf)}))
            hidden = f"; a {objects} is not looked into, return its tensors in a tuple or dict" if objects else ""
            raise BuildError(f"the call has no tensors among its {missing}{hidden}")
        return Graph(parameters, input_names, output_names, _constants(example), example, template, len(inputs.args))

    def tensors(self, inputs: Inputs) -> tuple[torch.Tensor, ...]:
        """Return the tensors of a call in the order of ``input_names``."""
        if not inputs.args and not self.constants and inputs.kwargs.keys() == set(self.input_names):
            return tuple(inputs.kwargs[name] for name in self.input_names)  # binding costs 20 us and more
        return tuple(tree.tensors(_bind(self.parameters, inputs)))

    @property
    def has_values(self) -> bool:
        """Tell whether numbers, text or the like are among the outputs: a graph returns those of its example."""
        leaves = (leaf for _, leaf in tree.named_leaves(self.template))
        return any(not (leaf is None or isinstance(leaf, torch.Tensor) or is_cache(leaf)) for leaf in leaves)

    def fits(self, inputs: Inputs) -> bool:
        """Tell whether a call has the same tensor names and the same constants (shapes aside)."""
        return self.unlike(inputs) is None

    def unlike(self, inputs: Inputs) -> str | None:
        """Return the tensors or constants that only a call or only this graph has; None if there are none."""
        bound = _bind(self.parameters, inputs)
        names = tuple(name for name, leaf in tree.named_leaves(bound) if isinstance(leaf, torch.Tensor))
        if names == self.input_names and _constants(bound) == self.constants:
            return None
        added = [name for name in names if name not in self.input_names]
        added += [f"{name}={value}" for name, value in _constants(bound) if (name, value) not in self.constants]
        left_out = [name for name in self.input_names if name not in names]
        left_out += [f"{name}={value}" for name, value in self.constants if (name, value) not in _constants(bound)]
        parts = (("with", added), ("without", left_out))
        return " and ".join(f"{word} {', '.join(which)}" for word, which in parts if which) or "in another order"

    def picked(self, output: Any) -> list[torch.Tensor]:
        """Return the tensors of an output in the order of ``output_names``.

        Tensors that a tracer made of numbers, such as sizes, are left out.

        Raises:
            BuildError: eager has no such outputs.
        """
        leaves = {name or "output": leaf for name, leaf in tree.named_leaves(output)}
        wanted = {name or "output": leaf for name, leaf in tree.named_leaves(self.template)}
        found = {
            name: leaf
            for name, leaf in leaves.items()
            if isinstance(leaf, torch.Tensor) and (leaf.dim() or not isinstance(wanted.get(name), _NUMBERS))
        }
        if found.keys() == set(self.output_names):
            return [found[name] for name in self.output_names]
        # A cache in eager's tuple is left out here, so later outputs have moved up.
        has_moved_up = len(leaves) < len(wanted) and all(name.replace(".", "").isdigit() for name in found)
        if len(found) == len(self.output_names) and has_moved_up:
            return list(found.values())
        raise BuildError(
            f"the call returns tensors as {_listed(found)}, in its example as {_listed(self.output_names)}: the "
            "set of outputs must not depend on the inputs"
        )

    def rebuild(self, outputs: tuple[torch.Tensor, ...] | list[torch.Tensor]) -> Any:
        """Return flat outputs in the structure and type that eager returns."""
        remaining = iter(outputs)
        return tree.map_leaves(
            lambda leaf: next(remaining) if isinstance(leaf, torch.Tensor) else tree.clone(leaf), self.template
        )

    def flatten(self, module: nn.Module) -> FlatModule:
        """Return ``module`` as one that takes and returns flat tensors; it must be a private copy."""
        return FlatModule(module, self)


class FlatModule(nn.Module):
    """Takes a graph's tensors as positional arguments and returns its outputs as a flat tuple."""

    def __init__(self, module: nn.Module, graph: Graph) -> None:
        super().__init__()
        self.module = module
        self._graph = graph
        for part in module.modules():  # T5's decoder has a config of its own
            if getattr(getattr(part, "config", None), "use_cache", False):
                part.config.use_cache = False  # type: ignore[union-attr]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the module on the graph's constants and these tensors."""
        return self.run(tensors)

    def run(self, tensors: tuple[torch.Tensor, ...], **further: Any) -> tuple[torch.Tensor, ...]:
        """Run the module on the graph's constants, these tensors and further arguments by name."""
        remaining = iter(tensors)
        arguments = tree.map_leaves(
            lambda leaf: next(remaining) if isinstance(leaf, torch.Tensor) else leaf, self._graph.example
        )
        first = itertools.takewhile(arguments.__contains__, list(self._graph.parameters.parameters))
        positional = [arguments.pop(name) for name in list(itertools.islice(first, self._graph.positional))]
        positional += arguments.pop("*", ())
        outputs: list[torch.Tensor] = []
        for output in self._graph.picked(without_state(self.module(*positional, **arguments, **further))):
            # A tensor that is already an input or output is copied, because one value can't have two names.
            # OpenVINO treats a clone as the value itself, but not a view of it.
            known = any(output is other for other in (*tensors, *outputs))
            outputs.append(output.clone().view_as(output) if known else output)
        return tuple(outputs)


def _bind(parameters: inspect.Signature, inputs: Inputs) -> dict[str, Any]:
    """Return the arguments by parameter name, in the signature's order; ``*args`` under "*", absent ones left out."""
    try:
        bound = parameters.bind(*inputs.args, **inputs.kwargs)
    except TypeError as mistake:
        raise BuildError(f"the call does not fit forward(): {mistake}") from None
    named: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = parameters.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            named["*"] = value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        elif value is not None or parameters.parameters[name].default is not None:
            named[name] = value
    return named


def _constants(bound: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, repr(leaf)) for name, leaf in tree.named_leaves(bound) if not isinstance(leaf, torch.Tensor))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
