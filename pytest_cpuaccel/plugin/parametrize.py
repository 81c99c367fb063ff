"""Backends as parameters of tests: one run of a test for each backend that it may run under."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cpuaccel.plugin.fixture_names import BACKEND
from pytest_cpuaccel.plugin.marks.narrowing import Narrowing
from pytest_cpuaccel.plugin.selection import BackendSelection

_NAME = "_cpu_backend_name"
"""The parameter of a test that runs under one backend only."""
NO_BACKEND = "none"
"""The parameter of a test that runs under no backend."""
_NUMBERS: pytest.StashKey[dict[str, int]] = pytest.StashKey()


def parametrize(metafunc: pytest.Metafunc, selection: BackendSelection) -> None:
    """Have a test run once for each chosen backend that it may run under.

    If only one backend can run, its name is in the test's id and no fixture has it as parameter. pytest would move
    tests that share a fixture's parameter side by side, and here that has no use.
    """
    narrowing = Narrowing.of(metafunc.definition)
    parameters = list(backend_parameters(selection, narrowing))
    if _several_can_run(selection) and running_names(selection, narrowing):
        metafunc.parametrize(BACKEND, parameters, indirect=True, scope="session")
    else:
        metafunc.fixturenames.append(_NAME)
        metafunc.parametrize(_NAME, parameters)


def backend_parameters(selection: BackendSelection, narrowing: Narrowing) -> Iterator[object]:
    """Yield a pytest parameter for each chosen backend that a test may run under; one that skips if none may."""
    running = running_names(selection, narrowing)
    for name in running:
        reason = selection.missing.get(name)
        yield pytest.param(name, id=name, marks=[pytest.mark.skip(reason=reason)] if reason else [])
    if not running:
        yield pytest.param(NO_BACKEND, id=NO_BACKEND, marks=pytest.mark.skip(reason=none_running(selection)))


def running_names(selection: BackendSelection, narrowing: Narrowing) -> list[str]:
    """Return the names of the chosen backends a test may run under, installed or not."""
    return [backend.name for backend in selection.chosen if narrowing.admits(backend.name)]


def none_running(selection: BackendSelection) -> str:
    """Return why a test runs under no backend."""
    if selection.chosen:
        names = ", ".join(backend.name for backend in selection.chosen)
        return f"@cpu_backends allows none of the chosen backends: {names}"
    return f"{', '.join(selection.unknown)}: added for the tests of other folders, by their conftest.py"


def backend_name(item: pytest.Item) -> str | None:
    """Return the backend that a test is parametrized with, if any."""
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get(BACKEND, callspec.params.get(_NAME)) if callspec else None
    return name if isinstance(name, str) else None


def has_fixture_parameter(item: pytest.Item) -> bool:
    """Tell whether pytest gives a test's backend to the fixture of it."""
    return BACKEND in getattr(getattr(item, "callspec", None), "params", ())


def number_backend(item: pytest.Item) -> None:
    """Give each backend the same number in all tests: pytest up to 9.1 orders tests by the number of a parameter.

    Without this, a test that leaves a backend out would number its backends differently.
    """
    callspec = getattr(item, "callspec", None)
    if callspec and BACKEND in callspec.params:
        numbers = item.config.stash.setdefault(_NUMBERS, {})
        callspec.indices[BACKEND] = numbers.setdefault(callspec.params[BACKEND], len(numbers))


def _several_can_run(selection: BackendSelection) -> bool:
    return len(selection.chosen) + len(selection.unknown) - len(selection.missing) > 1
