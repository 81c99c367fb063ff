"""What each module returned while ONNX Runtime runs a file of Optimum, whose nodes are named after modules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.backends.toolkit import observing, optimum
from pytest_cpuaccel.backends.toolkit.export_metadata import Route
from pytest_cpuaccel.backends.toolkit.module_map import Made, ModuleMap, Stack, stack_in_name
from pytest_cpuaccel.backends.toolkit.prepared import PreparedCall
from pytest_cpuaccel.backends.toolkit.runtime import Runtime
from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.observed_run import ObservedRun

FILE = "model.onnx"

Tapped = Callable[[Path, Sequence[str], int], tuple[Any, int]]
"""Opens the graph in a folder with these values among its outputs; see ``ort``."""


def observe(runtime: Runtime, tapped: Tapped, subject: Subject, folder: Path, inputs: Inputs) -> ObservedRun:
    """Run Optimum's class on ``inputs``, with a session in the place of its own that returns further outputs.

    Raises:
        BuildError: the model is in several graphs, or no node is named after a module.
    """
    import onnx

    route, files = Route.read(folder), sorted(path.name for path in folder.glob("*.onnx"))
    if files != [FILE]:
        raise BuildError(f"Optimum's {route.optimum} has the model in several graphs: {', '.join(files)}")
    paths = [path for path, _ in subject.outline().named_modules() if path]
    known = _modules(onnx.load(folder / FILE, load_external_data=False).graph, paths)

    def run(wanted: Sequence[str]) -> tuple[dict[str, torch.Tensor], Any]:
        call = PreparedCall.of(subject.outline(), subject, route.positions)
        model = optimum.load(runtime, route.optimum, folder, subject.threads)
        session, _ = tapped(folder, wanted, subject.threads)
        values: dict[str, torch.Tensor] = {}
        _redirect(model, session, values)
        with torch.no_grad(), silenced():
            answer = optimum.outputs(model, call.graph, call.tensors(inputs.args, dict(inputs.kwargs)))
        return values, tree.clone(call.graph.rebuild(answer))

    return observing.observed(known, subject, inputs, run)


def _redirect(model: Any, session: Any, values: dict[str, torch.Tensor]) -> None:
    """Have a model of Optimum run ``session``, which puts all that it returns into ``values``."""
    own = [item.name for item in model.session.get_outputs()]
    names = [item.name for item in session.get_outputs()]

    def run(asked: Sequence[str] | None, feed: Mapping[str, Any], *_: Any) -> list[Any]:
        found = dict(zip(names, session.run(None, feed), strict=True))
        values.update({name: torch.from_numpy(value) for name, value in found.items()})
        return [found[name] for name in asked or own]

    model.use_io_binding = False
    model.session.run = run


def _modules(graph: Any, paths: Collection[str]) -> ModuleMap:
    """The map of a graph that torchscript exported: a node has a name such as ``/encoder/layer.0/attention/MatMul``."""
    nodes = [(node, stack_in_name(node.name, paths)) for node in graph.node]
    users: dict[str, list[Stack | None]] = {output.name: [None] for output in graph.output}
    for node, stack in nodes:
        for name in node.input:
            users.setdefault(name, []).append(stack)
    return ModuleMap.of(
        Made(name, stack, tuple(users.get(name, ()))) for node, stack in nodes for name in node.output if name
    )
