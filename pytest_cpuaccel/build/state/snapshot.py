"""The state of a model at one moment."""

from __future__ import annotations

import collections
import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.build.source_code import is_project_code
from pytest_cpuaccel.build.state.code import functions_of
from pytest_cpuaccel.build.state.note import (
    CONTAINERS,
    SCALARS,
    UNSET,
    Note,
    are_same,
    attributes,
    equal,
    holds,
    items,
    links_of,
    own_attributes,
)
from pytest_cpuaccel.build.state.search import TABLE, Search
from pytest_cpuaccel.build.state.variable import Variable
from pytest_cpuaccel.core.identity import ByIdentity

_writes_parameters: ByIdentity[nn.Module, bool] = ByIdentity()
"""Whether a model's own calls write to its parameters, as found in its first one; then they are state too."""

MOST_NOTES = 50_000
"""Objects noted of one model at most."""


@dataclass(frozen=True)
class Snapshot:
    """What ``model`` holds beside its weights, by the identity of the objects that hold it.

    ``outside`` are variables of its code outside the model, each with the value that it had. Parameters are there
    where calls of the model write to them, and until that is known. ``is_whole`` is False where there was more to note
    than is noted. ``scripted`` are the TorchScript functions that its code refers to.
    """

    model: nn.Module
    notes: Mapping[int, Note]
    outside: tuple[tuple[Variable, Any], ...]
    is_whole: bool = True
    scripted: tuple[torch.jit.ScriptFunction[Any, Any], ...] = ()

    @staticmethod
    def of(model: nn.Module) -> Snapshot:
        """Note the state that a model has now."""
        search = Search()
        outside: list[tuple[Variable, Any]] = []
        notes: dict[int, Note] = {}
        seen: dict[int, Any] = {}  # the objects too, so that nothing else gets their identity meanwhile
        waiting: collections.deque[Any] = collections.deque(model.modules())
        is_whole = True
        found: Iterable[Variable] = search.of_model(model)
        while True:
            noted = [(variable, variable.read()) for variable in found]
            outside += noted
            waiting.extend(value for _, value in noted)
            if not waiting or len(notes) >= MOST_NOTES:
                break
            value = waiting.popleft()
            found = ()
            if isinstance(value, SCALARS) or id(value) in seen or _is_the_interpreters(value):
                continue
            seen[id(value)] = value
            if isinstance(value, nn.Module):
                seen |= {id(item): item for item in value.parameters()}
            found = search.behind(value)
            waiting.extend(links_of(value))
            if note := Note.of(value):
                notes[id(value)] = note
                children = note.children.values()
                is_table = len(children) > TABLE
                is_whole &= not is_table
                waiting.extend(item for item in children if not is_table or isinstance(item, (torch.Tensor, nn.Module)))
        if _writes_parameters.get(model) is not False:
            notes |= {id(item): Note(item, item.detach().clone()) for item in model.parameters()}
        return Snapshot(model, notes, tuple(outside), is_whole and not waiting, tuple(search.scripted))

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
        return list(dict.fromkeys((*found, *self._changed_parameters(unseen=True))))

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

    @functools.cached_property
    def _modules(self) -> frozenset[int]:
        return frozenset(map(id, self.model.modules()))

    def _changed_parameters(self, unseen: bool = False) -> Iterator[tuple[str, str]]:
        """Yield module paths with the names of changed parameters; of those only that ``changed_paths`` doesn't see."""
        for path, item in self.model.named_parameters():
            owner, _, name = path.rpartition(".")
            note = self.notes.get(id(item))
            if note is None or (unseen and self.is_whole and len(self.model.get_submodule(owner)._parameters) <= TABLE):
                continue
            if not equal(note.saved, item):
                yield owner, name

    def _without_parameters(self) -> Snapshot:
        weights = {id(item) for item in self.model.parameters()}
        return replace(self, notes={place: note for place, note in self.notes.items() if place not in weights})

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
        is_looked_at_by_itself = path and isinstance(before, nn.Module) and id(before) in self._modules
        note = self.notes.get(id(before))
        if is_looked_at_by_itself or (note is None and isinstance(before, nn.Parameter)):
            if now is not before:
                yield path
            return
        if (id(before), id(now)) in seen:
            return
        seen.add((id(before), id(now)))
        for one, other in zip(links_of(before), links_of(now), strict=False):
            yield from self._changes(one, other, path, seen)
        if note is None:
            if not _same(before, now):
                yield path
            return
        own = own_attributes(now)
        for name in dict.fromkeys((*note.own, *own)):
            if name in note.own and name in own:
                yield from self._changes(note.own[name], own[name], (*path, name), seen)
            else:
                yield (*path, name)
        if isinstance(before, (torch.Tensor, np.ndarray)) and not isinstance(note.saved, dict):
            if not equal(note.saved, now):
                yield path
        elif type(now) is not (type(before) if note.kind is object else note.kind):
            yield path
        elif not isinstance(before, (*CONTAINERS, np.ndarray)) and note.kind is object:
            if not holds(note, now):
                yield path
        else:
            present = items(now) if isinstance(before, (*CONTAINERS, np.ndarray)) else attributes(now)
            if len(note.saved) > TABLE:
                if not are_same(present, note.saved):
                    yield path
                return
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
def untouched(model: nn.Module) -> Iterator[Snapshot]:
    """Leave a model, however it is called meanwhile, in the state that it has now, which is noted in what it yields."""
    before = kept = Snapshot.of(model)
    try:
        yield before
    finally:
        if _writes_parameters.get(model) is None:
            are_other = any(True for _ in before._changed_parameters())
            kept = before if are_other else before._without_parameters()
            _writes_parameters[model] = are_other or may_write_parameters(model)
        kept.restore()


def in_state(model: nn.Module, start: Snapshot | None) -> AbstractContextManager[object]:
    """Return a context in which a model has a state that was noted of it, and then again that of now.

    Where none was noted, or one of another model, it begins with that of now.
    """
    return start.in_force() if start is not None and start.model is model else untouched(model)


def _is_the_interpreters(value: Any) -> bool:
    """Whether a value is the table of imported modules or the variables of one: putting that back undoes imports."""
    if value is sys.modules or value is sys.path_importer_cache:
        return True
    return type(value) is dict and "__spec__" in value and "__loader__" in value


def _same(before: Any, now: Any) -> bool:
    """Whether two values that hold nothing are the same, as far as they can tell themselves."""
    if before is now or isinstance(before, (types.FunctionType, torch.Tensor)):
        return True
    if isinstance(before, type) or type(before) is not type(now):
        return False
    tells = any("__eq__" in vars(kind) for kind in type(before).__mro__[:-1])
    try:
        return not tells or bool(before == now)
    except Exception:
        return True


def may_write_parameters(model: nn.Module) -> bool:
    """Tell whether a call may write to parameters, though the first one did not: by the code of its modules.

    ``max_norm`` of an embedding renorms rows when they are looked up; in a project's own code, methods that work in
    place or on ``.data`` may write to anything.
    """
    if any(getattr(child, "max_norm", None) is not None for child in model.modules()):
        return True
    kinds = {kind for child in model.modules() for kind in type(child).__mro__ if is_project_code(kind)}
    functions = [function for kind in kinds for value in vars(kind).values() for function in functions_of(value)]
    return any(_writes_in_place(function) for function in functions if is_project_code(function))


def _writes_in_place(function: types.FunctionType) -> bool:
    names = function.__code__.co_names
    return function.__name__ != "__init__" and any(
        name in ("data", "set_", "requires_grad") or (name.endswith("_") and not name.startswith("_")) for name in names
    )


def keeps_state_in_parameters(model: nn.Module) -> bool:
    """Tell whether calls of a model were seen to write to its parameters."""
    return bool(_writes_parameters.get(model))


def attribute_of(path: tuple[str, ...]) -> str:
    """Return the attribute, buffer, parameter or child of a module that a path from it begins with."""
    return path[1] if path[0] in ("_buffers", "_parameters", "_modules") and len(path) > 1 else path[0]
