"""A variable outside a model, with functions that read it and write it back."""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.builder.state.note import UNSET

_OF_PYTEST = "PYTEST_CURRENT_TEST"


@dataclass(frozen=True)
class Variable:
    """``name`` is for the user; ``read`` returns ``UNSET`` if the variable doesn't exist, and ``write`` takes that too.

    ``is_read_anew`` is True if each read makes a new object.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    is_read_anew: bool = False

    def holds(self, value: Any) -> bool:
        """Tell whether its value is this object, or an equal one if each read makes a new object."""
        now = self.read()
        return bool(now == value) if self.is_read_anew else now is value


def global_variable(variables: MutableMapping[str, Any], module: str, name: str) -> Variable:
    """Return the variable ``name`` among those of a module."""
    return Variable(
        f"the global variable '{name}' of {module}",
        functools.partial(variables.get, name, UNSET),
        functools.partial(_write_item, variables, name),
    )


def closed_over(name: str, cell: types.CellType, function: types.FunctionType) -> Variable:
    """Return the variable of an outer function, over which a function closes."""
    return Variable(
        f"'{name}', over which {function.__qualname__} closes",
        functools.partial(getattr, cell, "cell_contents", UNSET),
        functools.partial(_write_attribute, cell, "cell_contents"),
    )


def class_attribute(kind: type, name: str) -> Variable:
    """Return an attribute as the class stores it, past descriptors."""
    return Variable(
        f"'{name}' of class {kind.__name__}",
        functools.partial(_of_class, kind, name),
        functools.partial(_write_attribute, kind, name),
    )


def new_attributes(kind: type) -> Variable:
    """Return the names of a class's attributes; attributes that are added later are removed."""
    return Variable(
        f"new attributes of class {kind.__name__}",
        functools.partial(_names_of, kind),
        functools.partial(_keep_names, kind),
        is_read_anew=True,
    )


def of_function(function: types.FunctionType) -> Iterator[Variable]:
    """Yield a function's attributes, and the defaults of its arguments, which all of its calls share."""
    yield Variable(f"attributes of {function.__qualname__}", functools.partial(vars, function), _keep)
    for defaults in (function.__defaults__, function.__kwdefaults__):
        if defaults:
            yield held_in(f"defaults of {function.__qualname__}", defaults)


def held_in(name: str, value: Any) -> Variable:
    """Return a variable that always holds the same object; that object's state is restored in place."""
    return Variable(name, functools.partial(_same, value), _keep)


def environment() -> Variable:
    """Return the environment variables of this process, except the one in which pytest names the current test."""
    return Variable("os.environ", _environment, _write_others, is_read_anew=True)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != _OF_PYTEST}


def _write_others(variables: Mapping[str, str]) -> None:
    write_environment({**variables, _OF_PYTEST: os.environ[_OF_PYTEST]} if _OF_PYTEST in os.environ else variables)


def write_environment(variables: Mapping[str, str]) -> None:
    """Give this process these environment variables and no others."""
    for name in [name for name in os.environ if name not in variables]:
        del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _of_class(kind: type, name: str) -> Any:
    return vars(kind).get(name, UNSET)


def _names_of(kind: type) -> tuple[str, ...]:
    """Return the names, without those that Python itself adds on access, such as ``__annotations__``."""
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


def _same(value: Any) -> Any:
    return value


def _keep(value: Any) -> None:
    """Do nothing: the object is restored in place."""
