"""Code that a model's call may run: the functions behind a value, and the names in them."""

from __future__ import annotations

import dis
import functools
import itertools
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class Names:
    """The names in code, including inner functions: all names, and those of globals and attributes that it writes."""

    used: tuple[str, ...]
    globals_written: tuple[str, ...]
    attributes_written: tuple[str, ...]


_BY_WORD = frozenset({"globals", "vars", "__dict__", "modules", "getattr", "setattr", "import_module"})
"""Names by which code may reach a variable or a module whose name is a string."""


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> Names:
    inner = [names_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    steps = [(step.opname, str(step.argval)) for step in dis.get_instructions(code)]
    words = [item for item in code.co_consts if isinstance(item, str) and item.isidentifier()]
    by_word = words if _BY_WORD.intersection(code.co_names) else []
    return Names(
        _unique(code.co_names, by_word, *(names.used for names in inner)),
        _unique(_of_operation(steps, "STORE_GLOBAL"), *(names.globals_written for names in inner)),
        _unique(_of_operation(steps, "STORE_ATTR"), *(names.attributes_written for names in inner)),
    )


def _of_operation(steps: Iterable[tuple[str, str]], operation: str) -> list[str]:
    return [name for found, name in steps if found == operation]


def _unique(*names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(itertools.chain(*names)))
