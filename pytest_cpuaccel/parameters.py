"""Backends as parameters of tests: one run of a test for each backend that it may run under."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cpuaccel.choice import Choice
from pytest_cpuaccel.narrowing import Narrowing


def backend_parameters(choice: Choice, narrowing: Narrowing) -> Iterator[object]:
    """Yield a pytest parameter for each chosen backend a test may run under; one that skips where there is none."""
    names = [backend.name for backend in choice.chosen]
    running = [name for name in names if narrowing.admits(name)]
    for name in running:
        reason = choice.missing.get(name)
        yield pytest.param(name, id=name, marks=[pytest.mark.skip(reason=reason)] if reason else [])
    if not running:
        reason = f"@cpu_backends allows none of the chosen backends: {', '.join(names)}"
        yield pytest.param(names[0], id="none", marks=pytest.mark.skip(reason=reason))


def backend_name(item: pytest.Item) -> str | None:
    """Return the backend that a test is parametrized with, if any."""
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get("cpu_backend") if callspec else None
    return name if isinstance(name, str) else None


def in_backend_order(items: list[pytest.Item], choice: Choice) -> list[pytest.Item]:
    """Return the items sorted by backend, the rest first, otherwise in their order.

    pytest up to 9.1 groups parameters by index, so a test that leaves a backend out would tear groups apart,
    and each model would be built several times.
    """
    ranks = {backend.name: rank for rank, backend in enumerate(choice.chosen)}
    return sorted(items, key=lambda item: ranks.get(backend_name(item) or "", -1))
