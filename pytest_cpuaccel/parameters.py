"""Backends as parameters of tests: one run of a test for each backend that it may run under."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cpuaccel.choice import Choice
from pytest_cpuaccel.marks import PARAMETER
from pytest_cpuaccel.narrowing import Narrowing

BENCH = "_cpu_bench"
"""The fixture that every test has which uses a model of ours."""


def backend_parameters(choice: Choice, narrowing: Narrowing) -> Iterator[object]:
    """Yield a pytest parameter for each chosen backend a test may run under; one that skips where there is none."""
    running = running_names(choice, narrowing)
    for name in running:
        reason = choice.missing.get(name)
        yield pytest.param(name, id=name, marks=[pytest.mark.skip(reason=reason)] if reason else [])
    if not running:
        yield pytest.param("none", id="none", marks=pytest.mark.skip(reason=none_running(choice)))


def running_names(choice: Choice, narrowing: Narrowing) -> list[str]:
    """Return the names of the chosen backends a test may run under, installed or not."""
    return [backend.name for backend in choice.chosen if narrowing.admits(backend.name)]


def none_running(choice: Choice) -> str:
    """Return why a test runs under no backend."""
    if choice.chosen:
        names = ", ".join(backend.name for backend in choice.chosen)
        return f"@cpu_backends allows none of the chosen backends: {names}"
    return f"{', '.join(choice.unknown)}: added for the tests of other folders, by their conftest.py"


def uses_backend(item: pytest.Item) -> bool:
    """Tell whether pytest knows beforehand that a test uses one of our fixtures with a backend."""
    return PARAMETER in getattr(item, "fixturenames", ())


def uses_model(item: pytest.Item) -> bool:
    """Tell whether pytest knows beforehand that a test uses a model under a backend."""
    return BENCH in getattr(item, "fixturenames", ())


def backend_name(item: pytest.Item) -> str | None:
    """Return the backend that a test is parametrized with, if any."""
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get(PARAMETER) if callspec else None
    return name if isinstance(name, str) else None


def in_backend_order(items: list[pytest.Item], choice: Choice) -> list[pytest.Item]:
    """Return the items sorted by backend, the rest first, otherwise in their order.

    pytest up to 9.1 groups parameters by index, so a test that leaves a backend out would tear groups apart,
    and each model would be built several times.
    """
    ranks = {backend.name: rank for rank, backend in enumerate(choice.chosen)}
    return sorted(items, key=lambda item: ranks.get(backend_name(item) or "", -1))
