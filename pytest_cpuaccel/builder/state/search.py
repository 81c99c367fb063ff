"""The search for variables outside a model in which its own code may keep state, from function to function."""

from __future__ import annotations

import argparse
import collections
import contextvars
import functools
import os
import queue
import sys
import threading
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as every_module

from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.code import Names, functions_of, names_in
from pytest_cpuaccel.builder.state.handle import is_handle
from pytest_cpuaccel.builder.state.note import (
    BYTES,
    CODE,
    CONTAINERS,
    CTYPES,
    GENERATORS,
    ITERATORS,
    SCALARS,
    UNSET,
    WITH_STATE,
    is_object_with_state,
)
from pytest_cpuaccel.builder.state.variable import (
    Variable,
    class_attribute,
    closed_over,
    environment,
    global_variable,
    held_in,
    new_attributes,
    of_function,
)

TABLE = 1_000
"""Objects from which on a container is a table: the identities of its objects count, not their contents."""

_PACKAGE = __name__.partition(".")[0]
_DESCRIPTORS = (staticmethod, classmethod, property)
_OBJECTS_OF_PYTHON = (
    types.SimpleNamespace,
    argparse.Namespace,
    threading.local,
    queue.Queue,
    collections.UserDict,
    collections.UserList,
    collections.ChainMap,
    *WITH_STATE,
)
"""Types of Python's own library that may hold a model's state; its other types don't."""

_DATA: tuple[type, ...] = (
    *SCALARS,
    *CONTAINERS,
    *BYTES,
    *GENERATORS,
    *ITERATORS,
    *CTYPES,
    *_OBJECTS_OF_PYTHON,
    torch.Tensor,
    np.ndarray,
    memoryview,
    contextvars.ContextVar,
)


def variables_outside(model: nn.Module) -> Iterator[Variable]:
    """Yield each variable once that the user's project code may write to in a model's call."""
    yield from Search().of_model(model)


@dataclass
class Search:
    """Follows code from function to function; ``_seen`` holds the code visited, ``scripted`` the TorchScript in it."""

    scripted: list[torch.jit.ScriptFunction[Any, Any]] = field(default_factory=list)
    _seen: set[object] = field(default_factory=set)

    def of_model(self, model: nn.Module) -> Iterator[Variable]:
        """Yield the variables of all modules' code, and of the hooks that torch runs in every module."""
        for child in model.modules():
            if self._is_new(id(child)):
                yield from self._of_kinds(type(child))
                for value in _members(vars(child)):
                    yield from self.behind(value)
        for hook in _hooks_of_every_module():
            yield from self._of_value(held_in("a hook of every module", hook))

    def _of_kinds(self, kind: type) -> Iterator[Variable]:
        """Yield the variables of a class and its bases, if they are a project's."""
        metaclass: type = type(kind)
        for base in (*kind.__mro__, *metaclass.__mro__):
            if self._is_new(base) and _defines_project_code(base):
                yield from self._of_class(base)

    def _of_class(self, kind: type) -> Iterator[Variable]:
        yield new_attributes(kind)
        for name, value in list(vars(kind).items()):
            if not name.startswith("__") and _is_data(value):
                yield class_attribute(kind, name)
            for function in functions_of(value):
                yield from self._of_function(function)

    def behind(self, value: Any) -> Iterator[Variable]:
        """Yield the variables that the code behind an object may write to: its functions, or its class's methods."""
        if isinstance(value, types.ModuleType):
            return
        if isinstance(value, torch.jit.ScriptFunction):
            self.scripted.append(value)
        if isinstance(value, nn.Module):
            yield from self.of_model(value)
        for function in functions_of(value):
            yield from self._of_function(function)
        yield from self._of_kinds(value if isinstance(value, type) else type(value))

    def _of_function(self, function: types.FunctionType) -> Iterator[Variable]:
        if not self._is_new(function):
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if self._is_new(id(cell)):
                yield from self._of_value(closed_over(name, cell, function))
        if is_project_code(function):
            yield from of_function(function)
            yield from self._of_globals(function)

    def _of_globals(self, function: types.FunctionType) -> Iterator[Variable]:
        variables, module = function.__globals__, str(function.__module__)
        names = names_in(function.__code__)
        yield from self._of_namespace(variables, module, names)
        yield from self._written(variables, module, names.globals_written)
        for imported in _imported(variables, names.used):
            yield from self._of_namespace(vars(imported), imported.__name__, names)

    def _written(self, variables: MutableMapping[str, Any], module: str, names: Iterable[str]) -> Iterator[Variable]:
        """Yield the variables of a module that code writes to; they may not exist yet."""
        for name in names:
            value = variables.get(name, UNSET)
            if (value is UNSET or _is_data(value)) and self._is_new((id(variables), name)):
                yield global_variable(variables, module, name)

    def _of_namespace(self, variables: MutableMapping[str, Any], module: str, names: Names) -> Iterator[Variable]:
        """Yield the variables of these names in a module, and in modules that it holds under one of them."""
        if not self._is_new((id(variables), names)):
            return
        yield from self._of_library_classes(variables, names)
        for name in names.used:
            value = variables.get(name, UNSET)
            if value is os and "environ" in names.used:
                yield from self._of_environment()
            elif isinstance(value, types.ModuleType):
                yield from self._written(vars(value), value.__name__, names.attributes_written)
                yield from self._of_library_classes(vars(value), names)
                if is_project_code(value):
                    yield from self._of_namespace(vars(value), value.__name__, names)
            elif value is not UNSET and self._is_new((id(variables), name)):
                yield from self._of_value(global_variable(variables, module, name))

    def _of_library_classes(self, variables: Mapping[str, Any], names: Names) -> Iterator[Variable]:
        """Yield the attributes that code writes to classes of other packages, such as ``nn.Linear.calls += 1``."""
        for kind in (variables.get(name) for name in names.used):
            if isinstance(kind, type) and not _defines_project_code(kind):
                for name in names.attributes_written:
                    if self._is_new((kind, name)):
                        yield class_attribute(kind, name)

    def _of_value(self, variable: Variable) -> Iterator[Variable]:
        """Yield a variable if it holds data, and the variables of the code behind its value."""
        try:
            value = variable.read()
        except ValueError:  # an empty cell
            return
        if isinstance(value, nn.Module):
            yield from self._of_shared_model(variable.name, value)
            return
        if value is os.environ:
            yield from self._of_environment()
            return
        if _is_data(value) or isinstance(value, (types.MethodType, functools.partial, weakref.ref)):
            yield variable
        yield from self.behind(value)

    def _of_environment(self) -> Iterator[Variable]:
        if self._is_new(id(os.environ)):
            yield environment()

    def _of_shared_model(self, name: str, model: nn.Module) -> Iterator[Variable]:
        """Yield the modules of a model outside: each holds state as a variable does."""
        for path, child in model.named_modules():
            if id(child) not in self._seen:
                yield held_in(f"'{path}' in {name}" if path else name, child)
        yield from self.of_model(model)

    def _is_new(self, place: object) -> bool:
        if place in self._seen:
            return False
        self._seen.add(place)
        return True


def _hooks_of_every_module() -> list[Any]:
    """Return the hooks of ``register_module_forward_hook`` and the like, without this package's own."""
    hooks = (*every_module._global_forward_pre_hooks.values(), *every_module._global_forward_hooks.values())
    return [hook for hook in hooks if not _module_of(getattr(hook, "func", hook)).startswith(f"{_PACKAGE}.")]


def _module_of(function: Any) -> str:
    return str(getattr(function, "__module__", ""))


def _members(attributes: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the values of a module's attributes, its hooks, and the members of lists and dicts that are no tables."""
    for name, value in list(attributes.items()):
        if isinstance(value, (dict, list, tuple)):
            if len(value) <= TABLE and (name.endswith("_hooks") or not name.startswith("_")):
                yield from list(value.values()) if isinstance(value, dict) else value
        elif not isinstance(value, (nn.Module, type, *SCALARS)):
            yield value


def _defines_project_code(kind: type) -> bool:
    """Tell whether a class itself is a project's, whatever its bases are."""
    own = [item for item in vars(kind).values() if isinstance(item, types.FunctionType)]
    return any(map(is_project_code, own)) or (not own and is_project_code(sys.modules.get(kind.__module__)))


def _imported(variables: Mapping[str, Any], names: Iterable[str]) -> Iterator[types.ModuleType]:
    """Yield the project's modules that a function imports when it runs."""
    package = variables.get("__package__") or ""
    for name in names:
        for module in (sys.modules.get(name), sys.modules.get(f"{package}.{name}")):
            if name not in variables and module is not None and is_project_code(module):
                yield module


def _is_data(value: Any) -> bool:
    """Tell whether a value is data: numbers, tensors, containers or a project's object; no code and no model."""
    if isinstance(value, _DATA) or is_handle(value):
        return True
    if isinstance(value, (*CODE, nn.Module, *_DESCRIPTORS)) or (callable(value) and not is_project_code(value)):
        return False
    return type(value).__module__.partition(".")[0] not in sys.stdlib_module_names and is_object_with_state(value)
