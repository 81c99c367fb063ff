"""Test PyTorch and Hugging Face models under every CPU backend, as pytest verdicts.

Tests use fixtures and marks, and need no import. The names here are for those who annotate fixtures, add a backend or
take results. They are looked up when first used: pytest imports this package in every project where it is installed.
"""

from __future__ import annotations

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Scalar, Subject
    from pytest_cpuaccel.core.errors import (
        BackendUnavailableError,
        BuildError,
        BuildFailureError,
        CpuaccelError,
        CpuaccelWarning,
        EagerError,
        NothingToDoError,
        UsageError,
    )
    from pytest_cpuaccel.core.fixture_types import Accelerate, CpuModel, ScoreItems
    from pytest_cpuaccel.core.inputs import Inputs
    from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
    from pytest_cpuaccel.core.observed_run import ObservedRun
    from pytest_cpuaccel.core.precision import Precision
    from pytest_cpuaccel.core.result import Result
    from pytest_cpuaccel.core.verdict import Outcome, Verdict

_HOMES = {
    "Accelerate": "fixture_types",
    "Backend": "backend",
    "BackendUnavailableError": "errors",
    "BuildError": "errors",
    "BuildFailureError": "errors",
    "BuiltModel": "backend",
    "CpuModel": "fixture_types",
    "CpuaccelError": "errors",
    "CpuaccelWarning": "errors",
    "EagerError": "errors",
    "Inputs": "inputs",
    "Kernel": "kernel_census",
    "KernelCensus": "kernel_census",
    "NothingToDoError": "errors",
    "ObservedRun": "observed_run",
    "Outcome": "verdict",
    "Precision": "precision",
    "Requirement": "backend",
    "Result": "result",
    "Scalar": "backend",
    "ScoreItems": "fixture_types",
    "Subject": "backend",
    "UsageError": "errors",
    "Verdict": "verdict",
}

__all__ = [
    "Accelerate",
    "Backend",
    "BackendUnavailableError",
    "BuildError",
    "BuildFailureError",
    "BuiltModel",
    "CpuModel",
    "CpuaccelError",
    "CpuaccelWarning",
    "EagerError",
    "Inputs",
    "Kernel",
    "KernelCensus",
    "NothingToDoError",
    "ObservedRun",
    "Outcome",
    "Precision",
    "Requirement",
    "Result",
    "Scalar",
    "ScoreItems",
    "Subject",
    "UsageError",
    "Verdict",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_importlib.import_module(f"pytest_cpuaccel.core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
