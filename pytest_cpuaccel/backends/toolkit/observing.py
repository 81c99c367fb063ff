"""What each module returned while a runtime ran an artifact whose export left a map of its modules."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from pytest_cpuaccel.core.call_place import path_of_call, place_of_call
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.observed_run import ObservedRun

Values = dict[str, torch.Tensor]

OpenTapped = Callable[[Path, Sequence[str], Sequence[str], Values, int], RuntimeSession]
"""Opens the graph in a folder, with inputs of these names, so that a run puts the values of these names into a dict."""

RunTapped = Callable[[Sequence[str]], tuple[Values, Any]]
"""Runs a graph and returns the values of these names, as far as it has them, and the model's output."""


def observe(open_tapped: OpenTapped, subject: Subject, folder: Path | None, inputs: Inputs) -> ObservedRun:
    """Run the artifact in ``folder`` once on ``inputs``, as it is but for further outputs.

    Left out are calls of modules whose values an optimiser fused away or can't be told apart by shape and type, and
    modules that are called several times by several names.

    Raises:
        BuildError: the artifact has no map of modules, or none of its values is in the graph.
    """
    assert folder is not None
    known = _map_of(folder)

    def run(wanted: Sequence[str]) -> tuple[Values, Any]:
        values: Values = {}

        def opened(names: Sequence[str], threads: int) -> RuntimeSession:
            return open_tapped(folder, names, wanted, values, threads)

        built = loading.load_program(opened, replace(subject, generates=False), folder)
        try:
            if not built.accepts(inputs):
                raise BuildError("the artifact was made for calls of another form, so its modules can't be observed")
            with torch.no_grad(), silenced():
                return values, tree.clone(built.forward(*inputs.args, **inputs.kwargs))
        finally:
            built.close()

    return observed(known, subject, inputs, run)


def observed(known: ModuleMap, subject: Subject, inputs: Inputs, run: RunTapped) -> ObservedRun:
    """Return what modules returned in a run of a graph whose values are known by a map.

    Raises:
        BuildError: none of the values is in the graph.
    """
    returned = _returned(subject.fresh_module(), inputs)
    made = {place: names for place, of in returned.items() if (names := _names_of(of, place, known))}
    values, output = run(list(dict.fromkeys(name for names in made.values() for name in names)))
    outputs = {
        place: found
        for place, names in made.items()
        if (found := _restored(returned[place].output, [values.get(name) for name in names])) is not None
    }
    if not outputs:
        raise BuildError("the artifact's graph has no value left that a module returned")
    return ObservedRun(outputs, output, f"outputs of {_count(outputs)} modules read from the artifact")


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


@dataclass(frozen=True)
class _Returned:
    """What a call of a module returned in eager, as tensors on no device; ``paths`` are all names of the module."""

    output: Any
    paths: tuple[str, ...]


def _returned(module: nn.Module, inputs: Inputs) -> dict[str, _Returned]:
    """Return what each call of a module within ``module`` returns in eager, by place, in the order in which they end.

    Left out are modules with several names that are called several times: a graph has calls by one name each.
    """
    returned: dict[str, _Returned] = {}
    with _hooked(module, returned), torch.no_grad():
        given = inputs.clone()
        module(*given.args, **given.kwargs)
    return {
        place: item
        for place, item in returned.items()
        if len(item.paths) == 1 or place_of_call(item.paths[0], 2) not in returned
    }


@contextmanager
def _hooked(module: nn.Module, returned: dict[str, _Returned]) -> Iterator[None]:
    paths: dict[nn.Module, list[str]] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        paths.setdefault(part, []).append(path)

    def hook(names: tuple[str, ...]) -> Callable[..., None]:
        calls = itertools.count(1)

        def note(_module: nn.Module, _given: Any, output: Any) -> None:
            returned[place_of_call(names[0], next(calls))] = _Returned(_shape_of(output), names)

        return note

    handles = [part.register_forward_hook(hook(tuple(names))) for part, names in paths.items() if "" not in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _names_of(returned: _Returned, place: str, known: ModuleMap) -> tuple[str, ...]:
    """The values that a call returned: it is in the graph by one of its module's names."""
    places = (place,) if len(returned.paths) == 1 else returned.paths
    return next((known.values[each] for each in places if each in known.values), ())


def _shape_of(output: Any) -> Any:
    """An output as tensors on no device; of a nested one, padded, which is what an export makes of it."""

    def shaped(leaf: Any) -> torch.Tensor | None:
        if not isinstance(leaf, torch.Tensor):
            return None
        padded = torch.nested.to_padded_tensor(leaf, 0.0) if leaf.is_nested else leaf
        return torch.empty_like(padded, device="meta")

    return tree.map_leaves(shaped, output)


def _restored(output: Any, values: Sequence[torch.Tensor | None]) -> Any:
    """Return a call's values in the structure of eager; None where they can't be told apart.

    A tensor that nothing takes is None.
    """
    leaves = list(tree.tensors(output))
    found = _last_alike(leaves[0], values) if len(leaves) == 1 else _each_alike(leaves, values)
    if not any(value is not None for value in found):
        return None
    remaining = iter(found)

    def value_of(leaf: Any) -> torch.Tensor | None:
        value = next(remaining) if isinstance(leaf, torch.Tensor) else None
        return None if value is None else value.to(leaf.dtype)

    return tree.map_leaves(value_of, output)


def _last_alike(leaf: torch.Tensor, values: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
    """The last value like a leaf, unless a later one is unknown: that may be the one that was returned."""
    for value in reversed(values):
        if value is None or _are_alike(leaf, value):
            return [] if value is None else [value]
    return []


def _each_alike(leaves: Sequence[torch.Tensor], values: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """The value of each leaf, where each is like one leaf alone: in what order they were returned is unknown."""
    found: list[torch.Tensor | None] = [None] * len(leaves)
    for value in values:
        like = [place for place, leaf in enumerate(leaves) if value is not None and _are_alike(leaf, value)]
        if len(like) != 1 or found[like[0]] is not None:
            return []
        found[like[0]] = value
    return found


def _are_alike(leaf: torch.Tensor, value: torch.Tensor) -> bool:
    return leaf.shape == value.shape and leaf.is_floating_point() == value.is_floating_point()


def _count(places: Iterable[str]) -> int:
    """How many modules these calls are of."""
    return len({path_of_call(place) for place in places})
