"""The backends that a session knows, and those that it runs tests under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_cpuaccel.backends.registry import EAGER, is_known, no_such_backend, register, select
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BackendUnavailableError, UsageError
from pytest_cpuaccel.plugin.options import Settings


@dataclass(frozen=True)
class BackendSelection:
    """``known`` by name; ``chosen`` in the user's order; ``missing`` says why a chosen one can't run here.

    ``unknown`` are the names and globs that no backend has so far.
    """

    known: Mapping[str, Backend]
    chosen: tuple[Backend, ...]
    missing: Mapping[str, str]
    unknown: tuple[str, ...] = ()

    @property
    def first(self) -> Backend:
        """Return the backend for tests that pytest gives no parameters: the first that can run."""
        return next((backend for backend in self.chosen if backend.name not in self.missing), self.chosen[0])

    def named(self, name: str) -> Backend:
        """Return a backend by name.

        Raises:
            UsageError: there is none of that name.
            BackendUnavailableError: it isn't installed.
        """
        if name not in self.known:
            raise no_such_backend(name, self.known)
        reason = unmet_requirement(self.known[name])
        if reason:
            raise BackendUnavailableError(reason)
        return self.known[name]


def choose(settings: Settings, added: Iterable[Backend], where: str) -> BackendSelection:
    """Return the selection of the settings; eager alone if they name nothing.

    ``where`` is the place of the names, for messages. Unknown names are left to the caller.

    Raises:
        UsageError: a chosen backend, or every backend of a glob, isn't installed and ``missing`` is "fail".
    """
    known = register(added)
    if not settings.backends:
        return BackendSelection(known, (EAGER,), {})
    wanted, unknown = _sorted_out(settings.backends, known)
    try:
        chosen = tuple(select(wanted, known))
    except (UsageError, BackendUnavailableError) as mistake:
        raise UsageError(f"{where}: {mistake}") from None
    reasons = {backend.name: unmet_requirement(backend) for backend in chosen}
    missing = {name: reason for name, reason in reasons.items() if reason}
    if missing and settings.missing == "fail":
        raise UsageError(f"{where}: {'; '.join(missing.values())} (--cpu-missing=skip runs the others)")
    return BackendSelection(known, chosen, missing, unknown)


def _sorted_out(names: Sequence[str], known: Mapping[str, Backend]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    wanted = tuple(name for name in names if is_known(name, known))
    return wanted, tuple(name for name in names if name not in wanted)
