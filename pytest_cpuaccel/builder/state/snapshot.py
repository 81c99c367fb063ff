"""The state of a model at one moment."""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.code import functions_of
from pytest_cpuaccel.builder.state.difference import Difference
from pytest_cpuaccel.builder.state.note import Note, are_same, attributes, equal
from pytest_cpuaccel.builder.state.search import Search
from pytest_cpuaccel.builder.state.traversal import Traversal
from pytest_cpuaccel.builder.state.variable import Variable
from pytest_cpuaccel.core.identity import ByIdentity

_writes_parameters: ByIdentity[nn.Module, bool] = ByIdentity()
"""Whether a model's first call wrote to its parameters; if so, they are state too."""

_undecided: ByIdentity[nn.Module, list[dict[int, Note]]] = ByIdentity()
"""The notes of snapshots that were taken before this was known."""

_copies: ByIdentity[torch.Tensor, weakref.ref[torch.Tensor]] = ByIdentity()
"""The latest copy of a parameter, as long as a note uses it."""


@dataclass(frozen=True)
class Snapshot:
    """The state of ``model`` beside its weights: notes by the identity of their objects.

    ``outside`` maps variables of its code outside the model to their values. ``parameters`` are included if calls of
    the model write to them, and as long as that is unknown. ``is_whole`` is False if there were too many objects to
    note. ``scripted`` are the TorchScript functions that its code refers to.
    """

    model: nn.Module
    notes: Mapping[int, Note]
    outside: tuple[tuple[Variable, Any], ...]
    parameters: Mapping[int, Note] = field(default_factory=dict)
    is_whole: bool = True
    scripted: tuple[torch.jit.ScriptFunction[Any, Any], ...] = ()

    @staticmethod
    def of(model: nn.Module, parameters: Mapping[int, Note] | None = None) -> Snapshot:
        """Note the present state of a model; ``parameters`` are notes of its parameters if the caller has them."""
        found = Traversal(Search())
        found.follow(model)
        if parameters is None:
            writes = _writes_parameters.get(model)
            noted = {} if writes is False else found.parameters
            parameters = {place: Note(item, _copy_of(item)) for place, item in noted.items()}
            if writes is None:
                _undecided.setdefault(model, list).append(parameters)
        outside, scripted = tuple(found.outside), tuple(found.search.scripted)
        return Snapshot(model, found.notes, outside, parameters, found.is_whole, scripted)

    def restore(self) -> None:
        """Restore the noted state of the model and of the variables outside."""
        replaced = {place: note.replacement for place, note in self.notes.items() if note.replacement is not note.value}
        for note in (*self.notes.values(), *self.parameters.values()):
            note.restore(replaced)
        for variable, value in self.outside:
            kept = replaced.get(id(value), value)
            if variable.read() is not kept:
                variable.write(kept)

    def looks_the_same(self) -> bool:
        """Tell quickly whether variables and attributes hold the same objects, without comparing their contents."""
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
        """Return the names of changed state, such as ``'wav' of Net``."""
        children, changed = dict(self.model.named_modules()), (*self.changed_attributes(), *self.changed_parameters())
        found = [f"'{name}' of {type(children[owner]).__name__}" for owner, name in changed]
        return [*dict.fromkeys(found), *self.changed_outside()]

    def changed_attributes(self) -> list[tuple[str, str]]:
        """Return the module paths and names of changed attributes, without parameters."""
        return list(dict.fromkeys((owner, attribute_of(path)) for owner, path in self.changed_paths()))

    def changed_parameters(self) -> list[tuple[str, str]]:
        """Return the module paths and names of changed parameters, of those that were noted."""
        named = ((path.rpartition("."), item) for path, item in self.model.named_parameters())
        noted = ((owner, name, item) for (owner, _, name), item in named if id(item) in self.parameters)
        return [(owner, name) for owner, name, item in noted if not equal(self.parameters[id(item)].saved, item)]

    def changed_paths(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the module paths with the names that lead to changed values, without values of parameters."""
        difference = self._difference()
        for owner, child in self.model.named_modules():
            for path in difference.between(child, child):
                yield owner, path or ("__class__",)

    def changed_outside(self) -> list[str]:
        """Return the names of changed variables and parameters outside the model."""
        variables = [
            variable.name
            for variable, value in self.outside
            if any(True for _ in self._difference().between(value, variable.read()))
        ]
        return [*variables, *self.changed_parameters_outside()]

    def changed_parameters_outside(self) -> list[str]:
        """Return the names of changed parameters of modules that the model refers to, but doesn't own."""
        own = {id(item) for item in self.model.parameters()}
        others = (note.value for note in self.notes.values() if isinstance(note.value, nn.Module))
        named = ((other, name, item) for other in others for name, item in other._parameters.items())
        noted = [item for item in named if id(item[2]) in self.parameters and id(item[2]) not in own]
        changed = (item for item in noted if not equal(self.parameters[id(item[2])].saved, item[2]))
        return [f"'{name}' of a {type(owner).__name__}" for owner, name, _ in changed]

    def settle(self, written: bool) -> None:
        """Record whether calls since then wrote to parameters; an earlier finding stays."""
        if _writes_parameters.get(self.model) is None:
            _decide(self.model, written or may_write_parameters(self.model))

    def settled(self) -> Snapshot:
        """Return this state without parameters, unless calls write to them."""
        if _writes_parameters.get(self.model) is None:
            self.settle(bool(self.changed_parameters() or self.changed_parameters_outside()))
        return self if keeps_state_in_parameters(self.model) else replace(self, parameters={})

    @contextmanager
    def kept(self) -> Iterator[Snapshot]:
        """Restore this state at the end."""
        try:
            yield self
        finally:
            self.settled().restore()

    def _difference(self) -> Difference:
        return Difference(self.notes, self._modules, self.parameters)

    @functools.cached_property
    def _modules(self) -> frozenset[int]:
        return frozenset(map(id, self.model.modules()))

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Give the model this state meanwhile, and restore its present state at the end."""
        with untouched(self.model):
            self.restore()
            yield


def untouched(model: nn.Module) -> AbstractContextManager[Snapshot]:
    """Restore a model's present state at the end, whatever calls change meanwhile; yields the snapshot."""
    return Snapshot.of(model).kept()


def take_after(copied: nn.Module, model: nn.Module) -> None:
    """Record that a copy's calls write to parameters if the model's do."""
    writes = _writes_parameters.get(model)
    if writes is not None:
        _decide(copied, writes)


def _decide(model: nn.Module, writes: bool) -> None:
    """Record whether a model's calls write to parameters; if not, drop the copies made meanwhile."""
    _writes_parameters[model] = writes
    for parameters in _undecided.pop(model) or ():
        if not writes:
            parameters.clear()


def in_state(model: nn.Module, start: Snapshot | None) -> AbstractContextManager[object]:
    """Return a context in which a model has a noted state; at the end its present state is restored.

    If no state was noted, or one of another model, the context begins with the present state.
    """
    return start.in_force() if start is not None and start.model is model else untouched(model)


def may_write_parameters(model: nn.Module) -> bool:
    """Tell whether a call may write to parameters, though the first one did not: by the code of its modules.

    ``max_norm`` of an embedding renorms rows when they are looked up; in a project's own code, methods that work in
    place or on ``.data`` may write to anything.
    """
    if any(getattr(child, "max_norm", None) is not None for child in model.modules()):
        return True
    kinds = {kind for child in model.modules() for kind in type(child).__mro__}
    values = [value for kind in kinds if is_project_code(kind) for value in vars(kind).values()]
    functions = [function for value in values for function in functions_of(value)]
    return any(_writes_in_place(function) for function in functions if is_project_code(function))


def _writes_in_place(function: types.FunctionType) -> bool:
    names = function.__code__.co_names
    return function.__name__ != "__init__" and any(
        name in ("data", "set_", "requires_grad") or (name.endswith("_") and not name.startswith("_")) for name in names
    )


def _copy_of(parameter: torch.Tensor) -> torch.Tensor:
    """Return a copy of a parameter; an earlier equal copy if a note holds one."""
    latest = _copies.get(parameter)
    copied = None if latest is None else latest()
    if copied is None or not equal(copied, parameter):
        copied = parameter.detach().clone()
        _copies[parameter] = weakref.ref(copied)
    return copied


def keeps_state_in_parameters(model: nn.Module) -> bool:
    """Tell whether calls of a model were seen to write to its parameters, or its code may."""
    return bool(_writes_parameters.get(model))


def leaves_parameters_alone(model: nn.Module) -> bool:
    """Tell whether calls of a model were seen, and neither they nor its code write to its parameters."""
    return _writes_parameters.get(model) is False


def attribute_of(path: tuple[str, ...]) -> str:
    """Return the attribute, buffer, parameter or child of a module at the beginning of a path."""
    return path[1] if path[0] in ("_buffers", "_parameters", "_modules") and len(path) > 1 else path[0]
