"""The hook by which a conftest or a package adds backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend


@pytest.hookspec
def pytest_cpuaccel_backends(config: pytest.Config) -> list[Backend]:  # type: ignore[empty-body]
    """Return more backends, to be chosen by name with ``--cpu-backends``.

    Those of a conftest.py are for the tests in its folder and below. A name holds for the whole run: where two places
    give it to different backends, the run ends. Each implementation is asked once.

    In a conftest mark the implementation ``@pytest.hookimpl(optionalhook=True)``, so that the suite also runs
    where the plugin is switched off.
    """
