"""The state of a model at one moment."""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.source_code import is_project_code
from pytest_cpuaccel.build.state.code import functions_of
from pytest_cpuaccel.build.state.difference import Difference
from pytest_cpuaccel.build.state.note import Note, are_same, attributes, equal
from pytest_cpuaccel.build.state.search import TABLE, Search
from pytest_cpuaccel.build.state.traversal import Traversal
from pytest_cpuaccel.build.state.variable import Variable
from pytest_cpuaccel.core.identity import ByIdentity

_writes_parameters: ByIdentity[nn.Module, bool] = ByIdentity()
"""Whether a model's own calls write to its parameters, as found in its first one; then they are state too."""

_undecided: ByIdentity[nn.Module, list[dict[int, Note]]] = ByIdentity()
"""The notes of snapshots that were taken before that was known."""

_copies: ByIdentity[torch.Tensor, weakref.ref[torch.Tensor]] = ByIdentity()
"""The latest copy of a parameter, as long as a note holds it."""


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
        found = Traversal(Search())
        found.follow(model)
        writes = _writes_parameters.get(model)
        if writes is not False:
            found.notes.update({id(item): Note(item, _copy_of(item)) for item in model.parameters()})
        if writes is None:
            _undecided.setdefault(model, list).append(found.notes)
        return Snapshot(model, found.notes, tuple(found.outside), found.is_whole, tuple(found.search.scripted))

    def restore(self) -> None:
        """Give the model, and what lies outside it, the state that was noted."""
        replaced = {place: note.replacement for place, note in self.notes.items() if note.replacement is not note.value}
        for note in self.notes.values():
            note.restore(replaced)
        for variable, value in self.outside:
            kept = replaced.get(id(value), value)
            if variable.read() is not kept:
                variable.write(kept)

    def looks_the_same(self) -> bool:
        """Tell at a glance whether variables and attributes hold the objects that they held; not what those hold."""
        if not all(variable.holds(value) for variable, value in self.outside):
            return False
        for child in self.model.modules():
            note = self.notes.get(id(child))
            if note is None or not are_same(attributes(child), note.saved):
                return False
            own = (self.notes.get(id(item)) for item in note.saved.values() if isinstance(item, dict))
            if not all(are_same(item.value, item.saved) for item in own if item is not None):
                return False
        return True

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
        difference = Difference(self.notes, self._modules)
        for owner, child in self.model.named_modules():
            for path in difference.between(child, child):
                yield owner, path or ("__class__",)

    def changed_outside(self) -> list[str]:
        """Return the names of variables outside the model that hold other values now."""
        return [
            variable.name
            for variable, value in self.outside
            if any(True for _ in Difference(self.notes, self._modules).between(value, variable.read()))
        ]

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

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Give the model this state meanwhile, and then the one that it has now."""
        with untouched(self.model):
            self.restore()
            yield


@contextmanager
def untouched(model: nn.Module) -> Iterator[Snapshot]:
    """Leave a model, however it is called meanwhile, in the state that it has now, which is noted in what it yields."""
    before = Snapshot.of(model)
    try:
        yield before
    finally:
        if _writes_parameters.get(model) is None:
            are_other = any(True for _ in before._changed_parameters())
            _decide(model, are_other or may_write_parameters(model))
        before.restore()


def take_after(copied: nn.Module, model: nn.Module) -> None:
    """Know of a model's copy at once whether its calls write to parameters: as the model's own do."""
    writes = _writes_parameters.get(model)
    if writes is not None:
        _decide(copied, writes)


def _decide(model: nn.Module, writes: bool) -> None:
    """Know from now on whether a model's calls write to parameters; where not, the copies made meanwhile go."""
    _writes_parameters[model] = writes
    for notes in _undecided.pop(model) or ():
        for item in () if writes else model.parameters():
            notes.pop(id(item), None)


def in_state(model: nn.Module, start: Snapshot | None) -> AbstractContextManager[object]:
    """Return a context in which a model has a state that was noted of it, and then again that of now.

    Where none was noted, or one of another model, it begins with that of now.
    """
    return start.in_force() if start is not None and start.model is model else untouched(model)


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


def _copy_of(parameter: torch.Tensor) -> torch.Tensor:
    """A copy of a parameter as it is now: an earlier one that equals it, where a note holds such a one."""
    latest = _copies.get(parameter)
    copied = None if latest is None else latest()
    if copied is None or not equal(copied, parameter):
        copied = parameter.detach().clone()
        _copies[parameter] = weakref.ref(copied)
    return copied


def keeps_state_in_parameters(model: nn.Module) -> bool:
    """Tell whether calls of a model were seen to write to its parameters."""
    return bool(_writes_parameters.get(model))


def attribute_of(path: tuple[str, ...]) -> str:
    """Return the attribute, buffer, parameter or child of a module that a path from it begins with."""
    return path[1] if path[0] in ("_buffers", "_parameters", "_modules") and len(path) > 1 else path[0]
