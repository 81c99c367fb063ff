"""Test PyTorch and Hugging Face models under every CPU backend, as pytest verdicts.

What stands here is for those who add a backend; tests use fixtures and marks and import nothing. Names are looked
up when first used: pytest imports this package in every project where it is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
    from pytest_cpuaccel.core.errors import BackendUnavailable, BuildError, CpuaccelError, EagerError, UsageError
    from pytest_cpuaccel.core.inputs import Inputs
    from pytest_cpuaccel.core.precision import Precision

__all__ = [
    "Backend",
    "BackendUnavailable",
    "BuildError",
    "BuiltModel",
    "CpuaccelError",
    "EagerError",
    "Inputs",
    "Precision",
    "Requirement",
    "Subject",
    "UsageError",
]

_HOMES = ("backend", "errors", "inputs", "precision")


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"pytest_cpuaccel.core.{home}")
            if getattr(getattr(module, name, None), "__module__", None) == module.__name__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
