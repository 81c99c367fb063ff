"""Tests of cases that others of their matrix stand for: they run where ``--thorough`` asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_cpuaccel.core.backend import Backend

OPTION = "--thorough"
MARK = "thorough: a case that another one of its matrix stands for; --thorough runs it"


def some_marked(backends: Sequence[Backend], represented: Sequence[str]) -> list[Any]:
    """Return the backends as parameters, those marked whose names are among the represented."""
    assert not {*represented} - {backend.name for backend in backends}
    return [
        pytest.param(backend, marks=pytest.mark.thorough) if backend.name in represented else backend
        for backend in backends
    ]


def deselect(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked, unless it was asked for."""
    if config.getoption(OPTION):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
