"""The state that a model's own calls change, and changes by others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.snapshot import Snapshot, attribute_of

MEANT_BY_PEOPLE = frozenset(
    {"config", "generation_config", "forward", "_forward_hooks", "_forward_pre_hooks", "_modules"}
)
"""Attributes of a library's module that users set on purpose; the others are the library's internals."""


@dataclass(frozen=True)
class State:
    """The state that a model's calls change beside its weights: ``names`` for people, ``attributes`` by path and name.

    ``touched`` (attributes) and ``outside`` (names of variables) include state that only the first call changes.
    ``is_whole`` is False if the model refers to too many objects to visit.
    """

    names: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    touched: frozenset[tuple[str, str]] = frozenset()
    outside: frozenset[str] = frozenset()
    is_whole: bool = True


def changed_by_others(since: Snapshot, states: Collection[State]) -> list[str]:
    """Return the names of attributes and variables outside whose values have changed, without weights.

    ``states`` are changed by the model's calls themselves.
    """
    own = {attribute for state in states for attribute in (*state.touched, *state.attributes)}
    owners = dict(since.model.named_modules())
    attributes = [
        f"'{attribute_of(path)}' of {type(owners[owner]).__name__}"
        for owner, path in since.changed_paths()
        if (owner, attribute_of(path)) not in own and _counts(type(owners[owner]), path)
    ]
    expected = {name for state in states for name in (*state.outside, *state.names)}
    return [*attributes, *(name for name in since.changed_outside() if name not in expected)]


def _counts(owner: type, path: tuple[str, ...]) -> bool:
    """Tell whether calls may depend on this attribute of a module."""
    if path[0] in ("_buffers", "_parameters"):  # compared by their stamps
        return False
    if is_project_code(owner):
        return True
    return path[0] in MEANT_BY_PEOPLE and not any(name.startswith("_") for name in path[1:])
