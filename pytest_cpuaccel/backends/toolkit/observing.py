"""What each module returned while a runtime ran an artifact whose export left a map of its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import runtime_load as loading
from pytest_cpuaccel.backends.toolkit.export_metadata import Route
from pytest_cpuaccel.backends.toolkit.module_map import ModuleMap
from pytest_cpuaccel.backends.toolkit.runtime import RuntimeSession
from pytest_cpuaccel.backends.toolkit.upstream import silenced
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.observed_run import ObservedRun

Values = dict[str, torch.Tensor]

OpenTapped = Callable[[Path, Sequence[str], Sequence[str], Values, int], RuntimeSession]
"""Opens the graph in a folder, with inputs of these names, so that a run puts the values of these names into a dict."""


@dataclass(frozen=True)
class _Returned:
    """What a module returned in eager: the structure, with tensors on no device, and how often it was called."""

    output: Any
    calls: int = 1


def observe(open_tapped: OpenTapped, subject: Subject, folder: Path | None, inputs: Inputs) -> ObservedRun:
    """Run the artifact in ``folder`` once on ``inputs``, as it is but for further outputs.

    Left out are modules that were called several times, whose values an optimiser fused away, or whose values can't be
    told apart by shape and type. The artifact isn't altered.

    Raises:
        BuildError: the artifact has no map of modules, or none of its values is in the graph.
    """
    assert folder is not None
    known = _map_of(folder)
    returned = _returned(subject.fresh_module(), inputs)
    wanted = list(dict.fromkeys(name for path in returned for name in known.values.get(path, ())))
    values: Values = {}

    def opened(names: Sequence[str], threads: int) -> RuntimeSession:
        return open_tapped(folder, names, wanted, values, threads)

    built = loading.load_program(opened, replace(subject, generates=False), folder)
    try:
        if not built.accepts(inputs):
            raise BuildError("the artifact was made for calls of another form, so its modules can't be observed")
        with torch.no_grad(), silenced():
            output = tree.clone(built.forward(*inputs.args, **inputs.kwargs))
    finally:
        built.close()
    outputs = {
        path: found
        for path, of in returned.items()
        if (found := _restored(of, [values[name] for name in known.values.get(path, ()) if name in values])) is not None
    }
    if not outputs:
        raise BuildError("the artifact's graph has no value left that a module returned")
    return ObservedRun(outputs, output, f"outputs of {len(outputs)} modules read from the artifact")


def _map_of(folder: Path) -> ModuleMap:
    route = Route.read(folder)
    if route.optimum:
        raise BuildError(f"Optimum's {route.optimum} exported the artifact, and names no modules in it")
    if route.cache:
        raise BuildError("the artifact was made for generate(), and such a graph has no map of its modules")
    known = ModuleMap.read(folder)
    if known is None:
        raise BuildError("the artifact has no map of its modules: it was exported before maps were kept")
    return known


def _returned(module: nn.Module, inputs: Inputs) -> dict[str, _Returned]:
    """Return what each module of ``module`` returns in eager, in the order in which they end."""
    returned: dict[str, _Returned] = {}
    with _hooked(module, returned), torch.no_grad():
        given = inputs.clone()
        module(*given.args, **given.kwargs)
    return {path: item for path, item in returned.items() if item.calls == 1}


@contextmanager
def _hooked(module: nn.Module, returned: dict[str, _Returned]) -> Iterator[None]:
    def hook(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, _given: Any, output: Any) -> None:
            calls = returned.pop(path).calls + 1 if path in returned else 1
            returned[path] = _Returned(_shape_of(output), calls)

        return note

    handles = [part.register_forward_hook(hook(path)) for path, part in module.named_modules() if path]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _shape_of(output: Any) -> Any:
    return tree.map_leaves(
        lambda leaf: torch.empty_like(leaf, device="meta") if isinstance(leaf, torch.Tensor) else None, output
    )


def _restored(returned: _Returned, values: Sequence[torch.Tensor]) -> Any:
    """Return a module's values in the structure of eager; None where they can't be told apart."""
    leaves = list(tree.tensors(returned.output))
    if len(leaves) == 1:
        alike = [value for value in values if _are_alike(leaves[0], value)]
        found = alike[-1:]
    else:
        found = list(values) if len(values) == len(leaves) and all(map(_are_alike, leaves, values)) else []
    if not leaves or not found:
        return None
    remaining: Iterator[torch.Tensor] = iter(found)
    return tree.map_leaves(
        lambda leaf: next(remaining).to(leaf.dtype) if isinstance(leaf, torch.Tensor) else None, returned.output
    )


def _are_alike(leaf: torch.Tensor, value: torch.Tensor) -> bool:
    return leaf.shape == value.shape and leaf.is_floating_point() == value.is_floating_point()
