"""Attributes that a test, or a method of the model's class, assigns to the stand-in."""

from __future__ import annotations

from torch import nn

from pytest_cpuaccel.build.state.code import functions_of
from pytest_cpuaccel.core.errors import UsageError


def check_assignment(model: nn.Module, name: str, *, by_method: bool) -> None:
    """Check that an attribute of the stand-in may be set, though its build keeps the one that it was made with.

    A method of the model's class may note something on ``self``, as long as ``forward`` doesn't read it.

    Raises:
        UsageError: the model has it, and its answers may hang on it.
    """
    if hasattr(model, name) and (not by_method or name in _names_read(type(model))):
        raise UsageError(
            f"cpu_model.{name}: setting it would change nothing in a model that is built; set it on eager_model, "
            "before the first call"
        )


def _names_read(kind: type) -> set[str]:
    """Names that ``forward`` of a class uses, and the methods that it calls of the same object."""
    found: set[str] = set()
    waiting = ["forward"]
    while waiting:
        for function in functions_of(getattr(kind, waiting.pop(), None)):
            new = set(function.__code__.co_names) - found
            found |= new
            waiting += [name for name in new if hasattr(kind, name)]
    return found
