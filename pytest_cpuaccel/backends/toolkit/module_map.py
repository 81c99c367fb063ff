"""Which values of an exported graph each call of a module returned, kept beside the artifact."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_cpuaccel.core.call_place import path_of_call, place_of_call

FILE = "module_calls.json"
SCOPES = "scopes.json"

_WRAPPER = "module"
"""The attribute under which ``FlatModule`` holds the user's model."""

_LATER = re.compile(r"@(\d+)$")
"""How torch.export marks the calls of a module after its first, the second with 1."""


Stack = tuple[str, ...]
"""The places of the calls that a node of a graph was traced in, from the outermost."""


@dataclass(frozen=True)
class Made:
    """A value of a graph, in the order of the run.

    ``stack`` has the calls that made it, as in the exported program. ``used_in`` are those of the nodes that take it;
    None stands for the graph's own outputs.
    """

    name: str
    stack: Stack
    used_in: tuple[Stack | None, ...]


@dataclass(frozen=True)
class ModuleMap:
    """``values`` has, by a call's place, the names of values made in it and used outside of it, in order.

    ``scopes`` has, by the name of a node, the path
    of the innermost module that it comes from, where a graph doesn't keep that itself.
    """

    values: Mapping[str, tuple[str, ...]]
    scopes: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(made: Iterable[Made]) -> ModuleMap:
        """Return the map of a graph's values."""
        values: dict[str, list[str]] = {}
        for value in made:
            for place in value.stack:
                if any(user is None or place not in user for user in value.used_in):
                    values.setdefault(place.removeprefix(f"{_WRAPPER}."), []).append(value.name)
        return ModuleMap({place: tuple(names) for place, names in values.items() if place not in ("", _WRAPPER)})

    def renamed(self, names: Mapping[str, str]) -> ModuleMap:
        """Return the map with other names for some of the values."""
        values = {place: tuple(names.get(name, name) for name in values) for place, values in self.values.items()}
        return replace(self, values=values)

    def write(self, folder: Path) -> None:
        """Keep the map in an artifact's folder."""
        (folder / FILE).write_text(json.dumps(self.values))
        if self.scopes:
            (folder / SCOPES).write_text(json.dumps(self.scopes))

    @staticmethod
    def read(folder: Path) -> ModuleMap | None:
        """Return the map of the artifact in ``folder``; None if it was made without one."""
        if not (folder / FILE).exists():
            return None
        kept: dict[str, Sequence[str]] = json.loads((folder / FILE).read_text())
        scopes = json.loads((folder / SCOPES).read_text()) if (folder / SCOPES).exists() else {}
        return ModuleMap({place: tuple(names) for place, names in kept.items()}, scopes)


def path_of(stack: Stack) -> str:
    """Return the path in the user's model of the innermost module of a stack; "" for the model itself."""
    innermost = path_of_call(stack[-1]) if stack else ""
    return innermost.removeprefix(_WRAPPER).removeprefix(".")


def stack_in_name(name: str, paths: Collection[str]) -> Stack:
    """Return the modules in a node's name by torch's older exporter, such as ``/encoder/layer.0/attention/MatMul``.

    ``paths`` are those of all modules. A part of a Sequential repeats the name of that: ``/head/head.0/MatMul``.
    """
    return tuple(_within(name.split("/")[1:-1], paths))


def _within(parts: Sequence[str], paths: Collection[str]) -> Iterator[str]:
    path = ""
    for part in parts:
        last = path.rpartition(".")[2]
        whole = [f"{path}.{part}" if path else part, f"{path}{part.removeprefix(last)}"]
        found = next((each for each in whole if each in paths), None)
        if found is None or found == path:
            return
        path = found
        yield path


def stack_of(node: Any) -> Stack:
    """Return the calls in which torch.export traced a node of its graph."""
    stack: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return tuple(_place(key, path) for key, (path, _) in stack.items())


def _place(key: str, path: str) -> str:
    later = _LATER.search(key)
    return place_of_call(path, int(later[1]) + 1) if later else path
