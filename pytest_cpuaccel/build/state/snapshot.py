"""The state of a model at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.build.state.note import CONTAINERS, SCALARS, Note, attributes, equal, items
from pytest_cpuaccel.build.state.outside import Variable, variables_outside

_MOST_NOTES = 200_000
"""Objects noted of one model; what lies beyond belongs to something else that it refers to."""


@dataclass(frozen=True)
class Snapshot:
    """What ``model`` holds beside its parameters, by the identity of the objects that hold it.

    ``outside`` are variables of its code outside the model, each with the value that it had. Parameters are there only
    if they were asked for.
    """

    model: nn.Module
    notes: Mapping[int, Note]
    outside: tuple[tuple[Variable, Any], ...]

    @staticmethod
    def of(model: nn.Module, *, with_parameters: bool = False) -> Snapshot:
        """Note the state that a model has now."""
        outside = tuple((variable, variable.read()) for variable in variables_outside(model))
        values = [*model.modules(), *(value for _, value in outside)]
        notes: dict[int, Note] = {}
        while values and len(notes) < _MOST_NOTES:
            value = values.pop()
            if isinstance(value, (*SCALARS, nn.Parameter)) or id(value) in notes:
                continue
            if note := Note.of(value):
                notes[id(value)] = note
                values += note.children
        if with_parameters:
            notes |= {id(item): Note(item, item.detach().clone()) for item in model.parameters()}
        return Snapshot(model, notes, outside)

    def restore(self) -> None:
        """Give the model, and what lies outside it, the state that was noted."""
        replaced = {place: note.replacement for place, note in self.notes.items() if note.replacement is not note.value}
        for note in self.notes.values():
            note.restore(replaced)
        for variable, value in self.outside:
            kept = replaced.get(id(value), value)
            if variable.read() is not kept:
                variable.write(kept)

    def changes(self) -> list[str]:
        """Return the names of what holds other values now, such as ``'wav' of Net``."""
        children = dict(self.model.named_modules())
        found = [f"'{name}' of {type(children[owner]).__name__}" for owner, name in self.changed_attributes()]
        for variable, value in self.outside:
            found += [variable.name for _ in self._changes(value, variable.read(), (), set())]
        return list(dict.fromkeys(found))

    def changed_attributes(self) -> list[tuple[str, str]]:
        """Return module paths with the names of attributes and buffers, of all that hold other values now."""
        seen: set[tuple[int, int]] = set()
        found = (
            (owner, path[1] if path[0] == "_buffers" else path[0])
            for owner, child in self.model.named_modules()
            for path in self._changes(child, child, (), seen)
        )
        return list(dict.fromkeys(found))

    @property
    def parameters_changed(self) -> bool:
        """Tell whether a parameter, of those that were noted, holds other values now."""
        noted = ((self.notes.get(id(item)), item) for item in self.model.parameters())
        return any(note is not None and not equal(note.saved, item) for note, item in noted)

    def _changes(
        self, before: Any, now: Any, path: tuple[str, ...], seen: set[tuple[int, int]]
    ) -> Iterator[tuple[str, ...]]:
        if isinstance(before, SCALARS):
            if not equal(before, now):
                yield path
            return
        note = self.notes.get(id(before))
        if note is None or isinstance(before, nn.Parameter) or (id(before), id(now)) in seen:
            return
        seen.add((id(before), id(now)))
        if isinstance(before, (torch.Tensor, np.ndarray)):
            if not equal(note.saved, now):
                yield path
        elif type(before) is not type(now):
            yield path
        elif isinstance(note.saved, dict):
            present = items(now) if isinstance(before, CONTAINERS) else attributes(now)
            for key in [*note.saved, *(key for key in present if key not in note.saved)]:
                deeper = (*path, str(key))
                if key in note.saved and key in present:
                    yield from self._changes(note.saved[key], present[key], deeper, seen)
                else:
                    yield deeper

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Give the model this state meanwhile, and then the one that it has now."""
        with state_kept(self.model):
            self.restore()
            yield


@contextmanager
def state_kept(*models: nn.Module) -> Iterator[None]:
    """Leave models, however they are called meanwhile, in the state that they have now."""
    with ExitStack() as kept:
        for model in models:
            kept.callback(Snapshot.of(model).restore)
        yield
