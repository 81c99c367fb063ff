"""The ``cpu_backends`` mark: it limits the backends that a test runs under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.plugin.marks.arguments import only_mark, refuse_unknown
from pytest_cpuaccel.plugin.marks.names import closest

if TYPE_CHECKING:
    import pytest

    from pytest_cpuaccel.core.backend import Backend


_EXAMPLE = 'cpu_backends("ort", "openvino*") or cpu_backends(exclude="sdpa")'


@dataclass(frozen=True)
class Narrowing:
    """Globs of backend names: the allowed ones (none means all) and the excluded ones."""

    allowed: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @staticmethod
    def of(test: pytest.Item) -> Narrowing:
        """Return the narrowing of a test's mark; without one, everything is allowed."""
        mark = _closest(test)
        if mark is None:
            return Narrowing()
        exclude = mark.kwargs.get("exclude") or ()
        if not isinstance(exclude, (list, tuple, set, frozenset)):
            exclude = (exclude,)
        return Narrowing(mark.args, tuple(exclude))

    def admits(self, name: str) -> bool:
        """Tell whether a test may run under the backend of this name."""
        return (not self.allowed or _any_matches(name, self.allowed)) and not _any_matches(name, self.excluded)


def check_narrowing(test: pytest.Item, known: Mapping[str, Backend]) -> None:
    """Check that the mark on a test has a meaning.

    Raises:
        UsageError: it names no known backend, has another argument, or there are two in one place.
    """
    mark = only_mark(test, "cpu_backends")
    if mark is None:
        return
    where = f"{test.nodeid}: @cpu_backends"
    refuse_unknown(mark.kwargs, ("exclude",), where)
    narrowing = Narrowing.of(test)
    for pattern in (*narrowing.allowed, *narrowing.excluded):
        if not isinstance(pattern, str):
            raise UsageError(f"{where}: {shown(pattern)} is not the name of a backend; write {_EXAMPLE}")
        if not any(_any_matches(name, [pattern]) for name in known):
            from pytest_cpuaccel.backends.registry import no_such_backend

            raise UsageError(f"{where}: {no_such_backend(pattern, known)}")


def _closest(test: pytest.Item) -> pytest.Mark | None:
    return next(iter(closest(test, "cpu_backends")), None)


def _any_matches(name: str, patterns: Iterable[object]) -> bool:
    return any(fnmatchcase(name, str(pattern)) for pattern in patterns)
