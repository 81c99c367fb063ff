"""One backend that a command needs, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cpuaccel.backends.registry import no_such_backend
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError


def installed(name: str, known: Mapping[str, Backend], of: str) -> Backend:
    """Return the backend of a name; ``of`` says in messages where the name stands.

    Raises:
        UsageError: nobody has it, or it can't run here.
    """
    if name not in known:
        raise UsageError(f"{of}: {no_such_backend(name, known)}")
    reason = unmet_requirement(known[name])
    if reason:
        raise UsageError(f"{of}: {reason}")
    return known[name]
