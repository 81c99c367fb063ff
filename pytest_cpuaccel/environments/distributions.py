"""The installed distributions of an environment, and how those of two differ."""

from __future__ import annotations

from pytest_cpuaccel.environments.environment import Environment
from pytest_cpuaccel.environments.interpreter import ask

_PROGRAM = """
import json, re
from importlib import metadata
found = {}
for distribution in metadata.distributions():
    name = distribution.metadata["Name"] if distribution.metadata else None
    if name:
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
print(json.dumps(found))
"""
"""The first of a name is the one that is imported: what is laid over an environment comes before it."""

_BROUGHT_ALONG = "pytest-cpuaccel"

Difference = tuple[str, "str | None", "str | None"]
"""A distribution, and its version on each side; None where it isn't installed."""


def distributions_of(environment: Environment) -> dict[str, str]:
    """Return the version of each distribution that can be imported in an environment, by normalised name.

    Raises:
        UsageError: its interpreter can't tell.
    """
    found = ask(environment.python, _PROGRAM, environment.variables(), environment.folder)
    return {str(name): str(version) for name, version in found.items()}


def differences(here: Environment, there: Environment) -> list[Difference]:
    """Return the distributions that only one environment has, or has in another version, by name.

    This plugin is left out: every side runs this session's.

    Raises:
        UsageError: an interpreter can't tell.
    """
    ours, theirs = distributions_of(here), distributions_of(there)
    names = sorted((ours.keys() | theirs.keys()) - {_BROUGHT_ALONG})
    return [(name, ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)]
