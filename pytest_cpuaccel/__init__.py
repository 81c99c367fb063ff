"""Test PyTorch and Hugging Face models under every CPU backend, as pytest verdicts.

What stands here is for those who add a backend; tests use fixtures and marks and import nothing.
"""

from __future__ import annotations

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
