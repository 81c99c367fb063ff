"""Whether a backend's distributions are installed in versions it works with, told without importing them."""

from __future__ import annotations

import functools

from packaging.specifiers import SpecifierSet

from pytest_cpuaccel.core.backend import Backend, Requirement


def unmet_requirement(backend: Backend) -> str | None:
    """Return why a backend can't run here, with the pip command that mends it; None when nothing is missing."""
    for requirement in backend.requires:
        reason = _unmet(requirement)
        if reason:
            return f"{backend.name}: {reason}; {pip_command(backend)}"
    return None


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
    reason = f" ({requirement.reason})" if requirement.reason else ""
    return f"{requirement.distribution} {version} is installed, needs {requirement.specifier}{reason}"


@functools.cache
def _fits(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)
