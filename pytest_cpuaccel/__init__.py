"""Test PyTorch and Hugging Face models under every CPU backend, as pytest verdicts.

What stands here is for those who add a backend or hear of results; tests use fixtures and marks and import nothing.
Names are looked up when first used: pytest imports this package in every project where it is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
    from pytest_cpuaccel.core.errors import (
        BackendUnavailableError,
        BuildError,
        CpuaccelError,
        CpuaccelWarning,
        EagerError,
        UsageError,
    )
    from pytest_cpuaccel.core.inputs import Inputs
    from pytest_cpuaccel.core.precision import Precision
    from pytest_cpuaccel.core.result import Result
    from pytest_cpuaccel.core.verdict import Outcome, Verdict

_HOMES = {
    "Backend": "backend",
    "BackendUnavailableError": "errors",
    "BuildError": "errors",
    "BuiltModel": "backend",
    "CpuaccelError": "errors",
    "CpuaccelWarning": "errors",
    "EagerError": "errors",
    "Inputs": "inputs",
    "Outcome": "verdict",
    "Precision": "precision",
    "Requirement": "backend",
    "Result": "result",
    "Subject": "backend",
    "UsageError": "errors",
    "Verdict": "verdict",
}

__all__ = [
    "Backend",
    "BackendUnavailableError",
    "BuildError",
    "BuiltModel",
    "CpuaccelError",
    "CpuaccelWarning",
    "EagerError",
    "Inputs",
    "Outcome",
    "Precision",
    "Requirement",
    "Result",
    "Subject",
    "UsageError",
    "Verdict",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"pytest_cpuaccel.core.{_HOMES[name]}"), name)
