"""Variables outside a model in which its own code may keep state: cells of closures, globals, attributes of classes."""

from __future__ import annotations

import argparse
import collections
import contextvars
import dis
import functools
import itertools
import os
import queue
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.build.source_code import is_project_code
from pytest_cpuaccel.build.state.handle import is_handle
from pytest_cpuaccel.build.state.note import (
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

TABLE = 1_000
"""Objects from which on a container is a table: which they are counts, and not what each of them holds."""

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
"""What Python's own library offers to keep things in; its other objects keep nothing of a model."""

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


@dataclass(frozen=True)
class Variable:
    """``name`` is what a user knows it by; ``read`` returns ``UNSET`` where there is none, ``write`` takes that too."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


def variables_outside(model: nn.Module) -> Iterator[Variable]:
    """Yield the variables that code of the user's project, run by a model's call, may write to, each once."""
    yield from Search().of_model(model)


def functions_of(value: Any) -> Iterator[types.FunctionType]:
    """Yield the Python functions behind a callable or a descriptor."""
    if isinstance(value, (staticmethod, classmethod, types.MethodType)):
        yield from functions_of(value.__func__)
    elif isinstance(value, functools.partial):
        yield from functions_of(value.func)
    elif isinstance(value, property):
        yield from (function for function in (value.fget, value.fset) if isinstance(function, types.FunctionType))
    elif isinstance(value, types.FunctionType):
        yield value


@dataclass
class Search:
    """Follows code from function to function; ``_seen`` has what it has been to."""

    _seen: set[object] = field(default_factory=set)

    def of_model(self, model: nn.Module) -> Iterator[Variable]:
        """Yield the variables of all modules' code."""
        for child in model.modules():
            if self._is_new(id(child)):
                yield from self._of_kinds(type(child))
                for value in _members(vars(child)):
                    yield from self.behind(value)

    def _of_kinds(self, kind: type) -> Iterator[Variable]:
        """Those of a class and of its bases, where they are a project's."""
        metaclass: type = type(kind)
        for base in (*kind.__mro__, *metaclass.__mro__):
            if self._is_new(base) and _defines_project_code(base):
                yield from self._of_class(base)

    def _of_class(self, kind: type) -> Iterator[Variable]:
        yield Variable(
            f"new attributes of class {kind.__name__}",
            functools.partial(_names_of, kind),
            functools.partial(_keep_names, kind),
        )
        for name, value in list(vars(kind).items()):
            if not name.startswith("__") and _is_data(value):
                yield Variable(
                    f"'{name}' of class {kind.__name__}",
                    functools.partial(_class_attribute, kind, name),
                    functools.partial(_write_attribute, kind, name),
                )
            for function in functions_of(value):
                yield from self._of_function(function)

    def behind(self, value: Any) -> Iterator[Variable]:
        """Yield those that the code behind an object may write to: its functions, or the methods of its class."""
        if isinstance(value, types.ModuleType):
            return
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
                yield from self._of_value(
                    f"'{name}', over which {function.__qualname__} closes",
                    functools.partial(getattr, cell, "cell_contents", UNSET),
                    functools.partial(_write_attribute, cell, "cell_contents"),
                )
        if is_project_code(function):
            yield from _of_function_itself(function)
            yield from self._of_globals(function)

    def _of_globals(self, function: types.FunctionType) -> Iterator[Variable]:
        variables, module = function.__globals__, str(function.__module__)
        names = _names(function.__code__)
        yield from self._of_namespace(variables, module, names)
        yield from self._written(variables, module, names.globals_written)
        for imported in _imported(variables, names.used):
            yield from self._of_namespace(vars(imported), imported.__name__, names)

    def _written(self, variables: MutableMapping[str, Any], module: str, names: Iterable[str]) -> Iterator[Variable]:
        """Variables of a module that code writes to; they may not be there yet."""
        for name in names:
            value = variables.get(name, UNSET)
            if (value is UNSET or _is_data(value)) and self._is_new((id(variables), name)):
                yield _global(variables, module, name)

    def _of_namespace(self, variables: MutableMapping[str, Any], module: str, names: _Names) -> Iterator[Variable]:
        """Those of these names in a module, and in the modules that stand there by one of them."""
        if not self._is_new((id(variables), names)):
            return
        for name in names.used:
            value = variables.get(name, UNSET)
            if value is os and "environ" in names.used:
                yield from self._of_environment()
            elif isinstance(value, types.ModuleType):
                yield from self._written(vars(value), value.__name__, names.attributes_written)
                if is_project_code(value):
                    yield from self._of_namespace(vars(value), value.__name__, names)
            elif value is not UNSET and self._is_new((id(variables), name)):
                variable = _global(variables, module, name)
                yield from self._of_value(variable.name, variable.read, variable.write)

    def _of_value(self, name: str, read: Callable[[], Any], write: Callable[[Any], None]) -> Iterator[Variable]:
        """A variable, if it holds data, and those of the code behind what it holds."""
        try:
            value = read()
        except ValueError:  # an empty cell
            return
        if isinstance(value, nn.Module):
            yield from self._of_shared_model(name, value)
            return
        if value is os.environ:
            yield from self._of_environment()
            return
        if _is_data(value) or isinstance(value, (types.MethodType, functools.partial, weakref.ref)):
            yield Variable(name, read, write)
        yield from self.behind(value)

    def _of_environment(self) -> Iterator[Variable]:
        if self._is_new(id(os.environ)):
            yield Variable("os.environ", functools.partial(dict, os.environ), write_environment)

    def _of_shared_model(self, name: str, model: nn.Module) -> Iterator[Variable]:
        """A model that stands outside: each of its modules holds state as a variable does."""
        for path, child in model.named_modules():
            if id(child) not in self._seen:
                where = f"'{path}' in {name}" if path else name
                yield Variable(where, functools.partial(_same, child), _keep)
        yield from self.of_model(model)

    def _is_new(self, place: object) -> bool:
        if place in self._seen:
            return False
        self._seen.add(place)
        return True


def _members(attributes: Mapping[str, Any]) -> Iterator[Any]:
    """The values of a module's attributes, its hooks, and what lies in its lists and dicts unless they are tables."""
    for name, value in list(attributes.items()):
        if isinstance(value, (dict, list, tuple)):
            if len(value) <= TABLE and (name.endswith("_hooks") or not name.startswith("_")):
                yield from list(value.values()) if isinstance(value, dict) else value
        elif not isinstance(value, (nn.Module, type, *SCALARS)):
            yield value


def _defines_project_code(kind: type) -> bool:
    """Whether a class itself, whatever its bases are, is a project's."""
    own = [item for item in vars(kind).values() if isinstance(item, types.FunctionType)]
    return any(map(is_project_code, own)) or (not own and is_project_code(sys.modules.get(kind.__module__)))


def _of_function_itself(function: types.FunctionType) -> Iterator[Variable]:
    """Its attributes, and the defaults of its arguments, which all of its calls share."""
    yield Variable(f"attributes of {function.__qualname__}", functools.partial(vars, function), _keep)
    for defaults in (function.__defaults__, function.__kwdefaults__):
        if defaults:
            yield Variable(f"defaults of {function.__qualname__}", functools.partial(_same, defaults), _keep)


def _global(variables: MutableMapping[str, Any], module: str, name: str) -> Variable:
    return Variable(
        f"the global variable '{name}' of {module}",
        functools.partial(variables.get, name, UNSET),
        functools.partial(_write_item, variables, name),
    )


def _imported(variables: Mapping[str, Any], names: Iterable[str]) -> Iterator[types.ModuleType]:
    """The project's modules that a function imports when it runs."""
    package = variables.get("__package__") or ""
    for name in names:
        for module in (sys.modules.get(name), sys.modules.get(f"{package}.{name}")):
            if name not in variables and module is not None and is_project_code(module):
                yield module


@dataclass(frozen=True)
class _Names:
    """The names in code, that of inner functions included: any, and those of globals and attributes that it writes."""

    used: tuple[str, ...]
    globals_written: tuple[str, ...]
    attributes_written: tuple[str, ...]


_BY_WORD = frozenset({"globals", "vars", "__dict__", "modules", "getattr", "setattr", "import_module"})
"""Names in code by which it may reach a variable or a module whose name is a string."""


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> _Names:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    steps = [(step.opname, str(step.argval)) for step in dis.get_instructions(code)]
    words = [item for item in code.co_consts if isinstance(item, str) and item.isidentifier()]
    by_word = words if _BY_WORD.intersection(code.co_names) else []
    return _Names(
        _unique(code.co_names, by_word, *(names.used for names in inner)),
        _unique(_of_operation(steps, "STORE_GLOBAL"), *(names.globals_written for names in inner)),
        _unique(_of_operation(steps, "STORE_ATTR"), *(names.attributes_written for names in inner)),
    )


def _of_operation(steps: Iterable[tuple[str, str]], operation: str) -> list[str]:
    return [name for found, name in steps if found == operation]


def _unique(*names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(itertools.chain(*names)))


def _is_data(value: Any) -> bool:
    """Whether a variable's value is numbers, tensors, containers or an object of the project, no code and no model."""
    if isinstance(value, _DATA) or is_handle(value):
        return True
    if isinstance(value, (*CODE, nn.Module, *_DESCRIPTORS)) or (callable(value) and not is_project_code(value)):
        return False
    return type(value).__module__.partition(".")[0] not in sys.stdlib_module_names and is_object_with_state(value)


def _class_attribute(kind: type, name: str) -> Any:
    """As it stands in the class: a descriptor would compute something else."""
    return vars(kind).get(name, UNSET)


def _names_of(kind: type) -> tuple[str, ...]:
    """Without those that Python itself adds when they are asked for, such as ``__annotations__``."""
    return tuple(name for name in vars(kind) if not name.startswith("__"))


def _keep_names(kind: type, names: tuple[str, ...]) -> None:
    for name in set(_names_of(kind)) - set(names):
        delattr(kind, name)


def _write_attribute(owner: Any, name: str, value: Any) -> None:
    if value is not UNSET:
        setattr(owner, name, value)
    elif hasattr(owner, name):
        delattr(owner, name)


def _write_item(variables: MutableMapping[str, Any], name: str, value: Any) -> None:
    if value is not UNSET:
        variables[name] = value
    else:
        variables.pop(name, None)


def write_environment(variables: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name not in variables]:
        del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _same(value: Any) -> Any:
    return value


def _keep(value: Any) -> None:
    """What is restored in place need not be written."""
