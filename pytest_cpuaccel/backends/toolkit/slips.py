"""Slips of a backend's author: exceptions that the backend's own code raised, and no library or model that it ran."""

from __future__ import annotations

import traceback
from collections.abc import Collection

from pytest_cpuaccel.core.backend import Backend

SLIPS = (AttributeError, TypeError, LookupError, NameError, AssertionError)
"""Exceptions that say nothing of the model: code that didn't expect it."""
_OURS = __name__.partition(".")[0]
_WRAPPERS = ("contextlib", "torch.utils._contextlib")
"""Modules whose frames stand between a function and its caller where a context wraps it, such as ``torch.no_grad``."""


def packages_of(backend: Backend) -> frozenset[str]:
    """Return the top-level packages, or a module such as ``conftest``, that hold the code of a backend."""
    functions = [function for each in (backend, *backend.exporters) for function in (each.load, each.export)]
    modules = [getattr(getattr(function, "func", function), "__module__", "") for function in functions if function]
    return frozenset(_package(module) for module in modules if module)


def is_slip(error: BaseException, packages: Collection[str] = ()) -> bool:
    """Tell whether code of this package, or of these, raised such an exception, with no library in between."""
    if not isinstance(error, SLIPS):
        return False
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(modules) and all(module in _WRAPPERS or _package(module) in (_OURS, *packages) for module in modules)


def _package(module: str) -> str:
    return module.partition(".")[0]
