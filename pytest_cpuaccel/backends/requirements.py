"""Whether a backend's distributions are installed in versions it works with."""

from __future__ import annotations

import functools

from packaging.specifiers import SpecifierSet

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.core.backend import Backend, Requirement
from pytest_cpuaccel.core.errors import BackendUnavailableError


def unmet_requirement(backend: Backend) -> str | None:
    """Return why a backend can't run here, with the pip command that fixes it; None if nothing is missing.

    Imports nothing.
    """
    for requirement in backend.requires:
        unmet = _unmet(requirement)
        if unmet:
            return f"{backend.name}: {unmet}; {pip_command(backend)}"
    return None


def check_torch() -> None:
    """Import torch, the reference of every backend.

    Raises:
        BackendUnavailableError: it isn't installed in a version that works, or does not import.
    """
    unmet = unmet_requirement(EAGER)
    if unmet:
        raise BackendUnavailableError(unmet)
    try:
        from torch import nn  # noqa: F401
    except Exception as error:
        raise BackendUnavailableError(f"eager: torch is installed but does not import: {reason(error)}") from error


def pip_command(backend: Backend) -> str:
    """Return the command that installs everything a backend needs."""
    wanted = " ".join(f'"{item.distribution}{item.specifier}"' for item in backend.requires)
    return f"pip install {wanted}"


def _unmet(requirement: Requirement) -> str | None:
    version = requirement.installed
    if version is None:
        return f"{requirement.distribution} is not installed"
    if _fits(requirement.specifier, version):
        return None
    because = f" ({requirement.reason})" if requirement.reason else ""
    return f"{requirement.distribution} {version} is installed, needs {requirement.specifier}{because}"


@functools.cache
def _fits(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)
