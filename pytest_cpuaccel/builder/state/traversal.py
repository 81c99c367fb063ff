"""A traversal of all objects that a model refers to, with a note of each that could change."""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.state.note import SCALARS, Note, links_of
from pytest_cpuaccel.builder.state.search import TABLE, Search
from pytest_cpuaccel.builder.state.variable import Variable

MOST_NOTES = 50_000
"""The most objects that are noted of one model."""


@dataclass
class Traversal:
    """``notes`` and ``parameters`` are keyed by the identity of objects, including those of modules outside the model.

    ``outside`` maps variables to their values. ``is_whole`` is False if there were too many objects to note.
    ``_seen`` holds the objects too, so that no other object gets their identity meanwhile.
    """

    search: Search
    notes: dict[int, Note] = field(default_factory=dict)
    outside: list[tuple[Variable, Any]] = field(default_factory=list)
    is_whole: bool = True
    parameters: dict[int, nn.Parameter] = field(default_factory=dict)
    _seen: dict[int, Any] = field(default_factory=dict)
    _with_parameters_seen: set[int] = field(default_factory=set)
    _waiting: collections.deque[Any] = field(default_factory=collections.deque)

    def follow(self, model: nn.Module) -> None:
        """Visit everything that can be reached from a model and the variables of its code."""
        self._waiting.extend(model.modules())
        self._read(self.search.of_model(model))
        while self._waiting and len(self.notes) < MOST_NOTES:
            value = self._waiting.popleft()
            if not (isinstance(value, SCALARS) or id(value) in self._seen or _is_the_interpreters(value)):
                self._visit(value)
        self.is_whole &= not self._waiting

    def _read(self, variables: Iterable[Variable]) -> None:
        for variable in variables:
            value = variable.read()
            self.outside.append((variable, value))
            self._waiting.append(value)

    def _visit(self, value: Any) -> None:
        self._seen[id(value)] = value
        if isinstance(value, nn.Module) and id(value) not in self._with_parameters_seen:
            self._with_parameters_seen.update(map(id, value.modules()))
            own = {id(item): item for item in value.parameters()}
            self.parameters |= own
            self._seen |= own
        behind = self.search.behind(value)
        self._waiting.extend(links_of(value))
        if note := Note.of(value):
            self.notes[id(value)] = note
            self._enter(note)
        self._read(behind)

    def _enter(self, note: Note) -> None:
        children = note.children.values()
        is_table = len(children) > TABLE
        self.is_whole &= not is_table
        self._waiting.extend(item for item in children if not is_table or isinstance(item, (torch.Tensor, nn.Module)))


def _is_the_interpreters(value: Any) -> bool:
    """Tell whether a value is ``sys.modules`` or a module's variables: restoring these would undo imports."""
    if value is sys.modules or value is sys.path_importer_cache:
        return True
    return type(value) is dict and "__spec__" in value and "__loader__" in value
