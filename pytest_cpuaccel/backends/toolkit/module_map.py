"""Which values of an exported graph each module of the model returned, kept beside the artifact."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

FILE = "modules.json"
SCOPES = "scopes.json"

_WRAPPER = "module"
"""The attribute under which ``FlatModule`` holds the user's model."""


@dataclass(frozen=True)
class Made:
    """A value of a graph, in the order of the run.

    ``scope`` is the path of the module that made it, as in the exported program. ``used_in`` are those of the modules
    that take it; None stands for the graph's own outputs.
    """

    name: str
    scope: str
    used_in: tuple[str | None, ...]


@dataclass(frozen=True)
class ModuleMap:
    """``values`` has, by a module's path, the names of values made in it and used outside of it, in order.

    ``scopes`` has, by the name of a node, the path of the innermost module that it comes from, where a graph doesn't
    keep that itself.
    """

    values: Mapping[str, tuple[str, ...]]
    scopes: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(made: Iterable[Made]) -> ModuleMap:
        """Return the map of a graph's values."""
        values: dict[str, list[str]] = {}
        for value in made:
            for path in _paths(value.scope):
                if any(user is None or path not in _paths(user) for user in value.used_in):
                    values.setdefault(path.removeprefix(f"{_WRAPPER}."), []).append(value.name)
        return ModuleMap({path: tuple(names) for path, names in values.items()})

    def renamed(self, names: Mapping[str, str]) -> ModuleMap:
        """Return the map with other names for some of the values."""
        values = {path: tuple(names.get(name, name) for name in values) for path, values in self.values.items()}
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
        return ModuleMap({path: tuple(names) for path, names in kept.items()}, scopes)


def path_of(scope: str) -> str:
    """Return the path in the user's model of a scope in the exported program; "" for the model itself."""
    return scope.removeprefix(_WRAPPER).removeprefix(".")


def _paths(scope: str) -> list[str]:
    """Return a module's path and those of the modules that it is in, without the model itself."""
    parts = scope.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts) + 1)]
