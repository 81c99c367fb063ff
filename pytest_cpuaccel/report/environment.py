"""What results were measured on: versions, CPU and threads."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence

from pytest_cpuaccel.core.backend import Backend, Requirement, Scalar
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.machine.traits import traits

_ALWAYS = ("pytest-cpuaccel", "torch", "transformers", "optimum", "optimum-onnx", "optimum-intel")
"""Distributions that matter whichever backend runs: Optimum, where it is installed, is asked first to export."""


def environment(backends: Iterable[Backend], threads: int) -> dict[str, Scalar | Sequence[str]]:
    """Return what a reader needs to know before comparing figures with their own."""
    machine = this_machine()
    return {
        "cpu": machine.cpu,
        "isa": list(machine.isa),
        "cpus": machine.cpus,
        "threads": threads,
        **{trait.name.replace(" ", "_").lower(): trait.value for trait in traits()},
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": [f"{name} {version}" for name, version in versions_of(backends).items()],
    }


def versions_of(backends: Iterable[Backend]) -> dict[str, str]:
    """Return the installed versions of what decides results under these backends, by distribution."""
    versions = {name: Requirement(name).installed for name in _ALWAYS}
    for backend in backends:
        versions |= backend.versions
    return {name: version for name, version in versions.items() if version}


def as_list(environment: Mapping[str, Scalar | Sequence[str]]) -> str:
    """Return an environment as a list in Markdown."""
    return "\n".join(f"- {name}: {_listed(value)}" for name, value in environment.items())


def _listed(value: Scalar | Sequence[str]) -> str:
    return str(value) if isinstance(value, (str, int, float)) else ", ".join(value)
