"""Variables outside a model in which its own code may keep state: cells of closures, globals, attributes of classes."""

from __future__ import annotations

import contextvars
import functools
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.build.source_code import is_project_code
from pytest_cpuaccel.build.state.note import CODE, CONTAINERS, SCALARS, is_object_with_state

_DESCRIPTORS = (staticmethod, classmethod, property)


@dataclass(frozen=True)
class Variable:
    """``name`` is what a user knows it by; ``read`` raises where it is not set."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


def variables_outside(model: nn.Module) -> Iterator[Variable]:
    """Yield the variables that code of the user's project, run by a model's call, may write to, each once."""
    seen: set[object] = set()
    for child in model.modules():
        for kind in type(child).__mro__:
            if kind not in seen and _defines_project_code(kind):
                seen.add(kind)
                yield from _of_class(kind, seen)
        for function in (found for value in _callables(child) for found in functions_of(value)):
            yield from _of_function(function, seen)


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


def _defines_project_code(kind: type) -> bool:
    """Whether a class itself, whatever its bases are, is a project's."""
    own = [item for item in vars(kind).values() if isinstance(item, types.FunctionType)]
    return any(map(is_project_code, own)) or (not own and is_project_code(sys.modules.get(kind.__module__)))


def _of_class(kind: type, seen: set[object]) -> Iterator[Variable]:
    for name, value in list(vars(kind).items()):
        if not name.startswith("__") and _is_data(value):
            yield Variable(
                f"'{name}' of class {kind.__name__}",
                functools.partial(getattr, kind, name),
                functools.partial(setattr, kind, name),
            )
        for function in functions_of(value):
            yield from _of_function(function, seen)


def _of_function(function: types.FunctionType, seen: set[object]) -> Iterator[Variable]:
    """The variables of a function, and of the project's functions that it refers to."""
    if function in seen:
        return
    seen.add(function)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if id(cell) in seen or not _is_filled(cell):
            continue
        seen.add(id(cell))
        if _is_data(cell.cell_contents):
            yield Variable(
                f"'{name}', over which {function.__qualname__} closes",
                functools.partial(getattr, cell, "cell_contents"),
                functools.partial(setattr, cell, "cell_contents"),
            )
        for inner in functions_of(cell.cell_contents):
            yield from _of_function(inner, seen)
    if is_project_code(function):
        yield from _of_function_itself(function)
        yield from _globals_of(function, seen)


def _of_function_itself(function: types.FunctionType) -> Iterator[Variable]:
    """Its attributes, and the defaults of its arguments, which all of its calls share."""
    if vars(function):
        yield Variable(f"attributes of {function.__qualname__}", functools.partial(vars, function), _keep)
    for defaults in (function.__defaults__, function.__kwdefaults__):
        if defaults:
            yield Variable(f"defaults of {function.__qualname__}", functools.partial(_same, defaults), _keep)


def _same(value: Any) -> Any:
    return value


def _keep(value: Any) -> None:
    """What is restored in place need not be written."""


def _globals_of(function: types.FunctionType, seen: set[object]) -> Iterator[Variable]:
    variables = function.__globals__
    for name in _global_names(function.__code__):
        if name not in variables or (id(variables), name) in seen:
            continue
        seen.add((id(variables), name))
        if _is_data(variables[name]):
            yield Variable(
                f"the global variable '{name}' of {function.__module__}",
                functools.partial(variables.__getitem__, name),
                functools.partial(variables.__setitem__, name),
            )
        value = variables[name]
        if isinstance(value, type) and value not in seen and _defines_project_code(value):
            seen.add(value)
            yield from _of_class(value, seen)
        for inner in functions_of(value):
            yield from _of_function(inner, seen)


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _callables(module: nn.Module) -> Iterator[Any]:
    """The hooks of a module, and the functions among its attributes."""
    for name, value in list(vars(module).items()):
        if name.endswith("_hooks") and value:
            yield from list(value.values())
        elif callable(value) and not isinstance(value, (nn.Module, type)):
            yield value


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_data(value: Any) -> bool:
    """Whether a variable's value is numbers, tensors, containers or an object of the project, no code and no model."""
    if isinstance(value, (*SCALARS, torch.Tensor, np.ndarray, bytearray, contextvars.ContextVar, *CONTAINERS)):
        return True
    if callable(value) or isinstance(value, (*CODE, nn.Module, *_DESCRIPTORS)):
        return False
    return type(value).__module__.partition(".")[0] not in sys.stdlib_module_names and is_object_with_state(value)
