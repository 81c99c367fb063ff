"""The hook by which a conftest or a package adds backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend


@pytest.hookspec
def pytest_cpuaccel_backends(config: pytest.Config) -> list[Backend]:  # type: ignore[empty-body]
    """Return more backends, to be chosen by name with ``--cpu-backends``.

    In a conftest mark the implementation ``@pytest.hookimpl(optionalhook=True)``, so that the suite also runs
    where the plugin is switched off.
    """
