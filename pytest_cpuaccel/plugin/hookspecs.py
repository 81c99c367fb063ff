"""The hooks by which a conftest or a package adds backends and gets results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend
    from pytest_cpuaccel.core.result import Result


@pytest.hookspec
def pytest_cpuaccel_backends(config: pytest.Config) -> list[Backend]:  # type: ignore[empty-body]
    """Return more backends; users choose them by name with ``--cpu-backends``.

    Backends of a conftest.py are for the tests in its folder and below. A name means one backend in the whole run: if
    two places give it to different backends, the run ends. Each implementation is called once.

    In a conftest mark the implementation ``@pytest.hookimpl(optionalhook=True)``, so that the suite also runs
    where the plugin is switched off.
    """


@pytest.hookspec
def pytest_cpuaccel_result(item: pytest.Item, result: Result) -> None:
    """Take the result of one workload of a test: the model, the backend, the call, and the verdicts on it.

    It is called as soon as the result is complete, before the test passes, fails or is skipped by it. A test has one
    result for each kind of call of each model, and with ``accuracy_budget`` one more for the scores of each model.
    ``latency_budget`` can give several verdicts: latency, startup, baseline. Budgets that a wrong answer withholds give
    none.

    It is called in the process that runs the test: under pytest-xdist that is a worker. A conftest.py gets the results
    of tests in its folder and below. An exception of an implementation fails the test.

    Mark the implementation ``@pytest.hookimpl(optionalhook=True)``, so that the suite also runs where the plugin is
    switched off.
    """
