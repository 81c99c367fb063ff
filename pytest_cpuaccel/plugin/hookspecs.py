"""The hook by which a conftest or a package adds backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend


@pytest.hookspec
def pytest_cpuaccel_backends(config: pytest.Config) -> list[Backend]:  # type: ignore[empty-body]
    """Return more backends; users choose them by name with ``--cpu-backends``.

    Backends of a conftest.py are for the tests in its folder and below. A name means one backend in the whole run: if
    two places give it to different backends, the run ends. Each implementation is called once.

    In a conftest mark the implementation ``@pytest.hookimpl(optionalhook=True)``, so that the suite also runs
    where the plugin is switched off.
    """
