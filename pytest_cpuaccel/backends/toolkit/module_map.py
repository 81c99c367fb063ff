"""Which values of an exported graph each call of a module returned, kept beside the artifact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "module_calls.json"

_WRAPPER = "module"
"""The attribute under which ``FlatModule`` holds the user's model."""

_LATER = re.compile(r"@(\d+)$")
"""How torch.export marks the calls of a module after its first, the second with 1."""


Stack = tuple[str, ...]
"""The calls that a node of a graph was traced in, from the outermost: module paths, with ``#2`` in a second call."""


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

    A place is a module's path, with ``#2`` behind it in a second call.
    """

    values: Mapping[str, tuple[str, ...]]

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
        return ModuleMap(
            {place: tuple(names.get(name, name) for name in values) for place, values in self.values.items()}
        )

    def write(self, folder: Path) -> None:
        """Keep the map in an artifact's folder."""
        (folder / FILE).write_text(json.dumps(self.values))

    @staticmethod
    def read(folder: Path) -> ModuleMap | None:
        """Return the map of the artifact in ``folder``; None if it was made without one."""
        if not (folder / FILE).exists():
            return None
        kept: dict[str, Sequence[str]] = json.loads((folder / FILE).read_text())
        return ModuleMap({place: tuple(names) for place, names in kept.items()})


def stack_of(node: Any) -> Stack:
    """Return the calls in which torch.export traced a node of its graph."""
    stack: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return tuple(_place(key, path) for key, (path, _) in stack.items())


def _place(key: str, path: str) -> str:
    later = _LATER.search(key)
    return f"{path}#{int(later[1]) + 1}" if later else path
