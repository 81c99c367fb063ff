"""Methods called on their class, ``Net.score(cpu_model, x)``: such calls bypass the stand-in's own attributes."""

from __future__ import annotations

import functools
import inspect
import types

from torch import nn

from pytest_cpuaccel.builder.state.code import functions_of


def unbound_method(kind: type, stand_in: object, frame: types.FrameType) -> str:
    """Return the name of the method of ``kind`` that a frame runs with ``stand_in`` as ``self``; ``""`` for any other.

    Methods of ``nn.Module`` itself don't count: they only read a module, or call the stand-in's own methods.
    """
    code = frame.f_code
    name = _methods(kind).get(code, "")
    return name if name and code.co_argcount and frame.f_locals.get(code.co_varnames[0]) is stand_in else ""


@functools.lru_cache(maxsize=256)
def _methods(kind: type) -> dict[types.CodeType, str]:
    """Map the code of a class's methods, behind decorators too, to their names."""
    found: dict[types.CodeType, str] = {}
    for base in kind.__mro__:
        if base not in nn.Module.__mro__:
            for name, value in vars(base).items():
                found |= {inspect.unwrap(function).__code__: name for function in functions_of(value)}
    return found
