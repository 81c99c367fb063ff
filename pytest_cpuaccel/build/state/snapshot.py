"""The state of a model at one moment."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.build.state.note import CONTAINERS, SCALARS, UNSET, Note, attributes, equal, holds, items
from pytest_cpuaccel.build.state.outside import Variable, variables_outside
from pytest_cpuaccel.core.identity import ByIdentity

_writes_parameters: ByIdentity[nn.Module, bool] = ByIdentity()
"""Whether a model's own calls write to its parameters, as found in its first one; then they are state too."""

MOST_NOTES = 200_000
"""Objects noted of one model at most; what tables hold comes last."""

_TABLE = 10_000
"""Items from which on a container is a table."""


@dataclass(frozen=True)
class Snapshot:
    """What ``model`` holds beside its weights, by the identity of the objects that hold it.

    ``outside`` are variables of its code outside the model, each with the value that it had. Parameters are there
    where calls of the model write to them, and until that is known. ``is_whole`` is False where there was more to note
    than is noted.
    """

    model: nn.Module
    notes: Mapping[int, Note]
    outside: tuple[tuple[Variable, Any], ...]
    is_whole: bool = True

    @staticmethod
    def of(model: nn.Module) -> Snapshot:
        """Note the state that a model has now."""
        outside = tuple((variable, variable.read()) for variable in variables_outside(model))
        notes: dict[int, Note] = {}
        waiting = collections.deque([*model.modules(), *(value for _, value in outside)])
        within_tables: collections.deque[Any] = collections.deque()
        while (waiting or within_tables) and len(notes) < MOST_NOTES:
            value = (waiting or within_tables).popleft()
            if isinstance(value, (*SCALARS, nn.Parameter)) or id(value) in notes:
                continue
            if note := Note.of(value):
                notes[id(value)] = note
                children = note.children.values()
                (within_tables if len(children) > _TABLE else waiting).extend(children)
        if _writes_parameters.get(model) is not False:
            notes |= {id(item): Note(item, item.detach().clone()) for item in model.parameters()}
        return Snapshot(model, notes, outside, is_whole=not waiting and not within_tables)

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
        return [*dict.fromkeys(found), *self.changed_outside()]

    def changed_attributes(self) -> list[tuple[str, str]]:
        """Return module paths with the names of attributes and buffers, of all that hold other values now."""
        found = ((owner, attribute_of(path)) for owner, path in self.changed_paths())
        return list(dict.fromkeys((*found, *self._changed_parameters())))

    def changed_paths(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield module paths with the names that lead from the module to what holds another value now."""
        seen: set[tuple[int, int]] = set()
        for owner, child in self.model.named_modules():
            for path in self._changes(child, child, (), seen):
                yield owner, path or ("__class__",)

    def changed_outside(self) -> list[str]:
        """Return the names of variables outside the model that hold other values now."""
        changed = (v.name for v, value in self.outside for _ in self._changes(value, v.read(), (), set()))
        return list(dict.fromkeys(changed))

    def _changed_parameters(self) -> Iterator[tuple[str, str]]:
        for path, item in self.model.named_parameters():
            note = self.notes.get(id(item))
            if note is not None and not equal(note.saved, item):
                owner, _, name = path.rpartition(".")
                yield owner, name

    def _changes(
        self, before: Any, now: Any, path: tuple[str, ...], seen: set[tuple[int, int]]
    ) -> Iterator[tuple[str, ...]]:
        if isinstance(before, SCALARS):
            if not equal(before, now):
                yield path
            return
        if before is UNSET or now is UNSET:
            if now is not before:
                yield path
            return
        is_child = isinstance(before, nn.Module) and path[:1] == ("_modules",)  # looked at by itself
        if is_child or isinstance(before, nn.Parameter):
            if now is not before:
                yield path
            return
        note = self.notes.get(id(before))
        if note is None or (id(before), id(now)) in seen:
            return
        seen.add((id(before), id(now)))
        if isinstance(before, (torch.Tensor, np.ndarray)):
            if not equal(note.saved, now):
                yield path
        elif type(now) is not (type(before) if note.kind is object else note.kind):
            yield path
        elif not isinstance(before, CONTAINERS) and note.kind is object:
            if not holds(note, now):
                yield path
        else:
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
        with untouched(self.model):
            self.restore()
            yield


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Leave a model, however it is called meanwhile, in the state that it has now."""
    before = Snapshot.of(model)
    try:
        yield
    finally:
        if _writes_parameters.get(model) is None:
            _writes_parameters[model] = any(True for _ in before._changed_parameters())
        before.restore()


def in_state(model: nn.Module, start: Snapshot | None) -> AbstractContextManager[None]:
    """Return a context in which a model has a state that was noted of it, and then again that of now.

    Where none was noted, or one of another model, it begins with that of now.
    """
    return start.in_force() if start is not None and start.model is model else untouched(model)


def keeps_state_in_parameters(model: nn.Module) -> bool:
    """Tell whether calls of a model were seen to write to its parameters."""
    return bool(_writes_parameters.get(model))


def attribute_of(path: tuple[str, ...]) -> str:
    """Return the attribute, buffer, parameter or child of a module that a path from it begins with."""
    return path[1] if path[0] in ("_buffers", "_parameters", "_modules") and len(path) > 1 else path[0]
