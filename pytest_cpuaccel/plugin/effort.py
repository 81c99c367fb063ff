"""The effort of a process so far, which pytest's reports carry to the reporter."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_cpuaccel.plugin.stash import SHARES_MACHINE, is_worker, lock_of, open_session_of

ATTRIBUTE = "cpuaccel_effort"
"""The attribute of a pytest report that holds it; xdist sends it along."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put into a report what the process has waited and exported so far."""
    report = yield
    if SHARES_MACHINE in item.config.stash:
        setattr(report, ATTRIBUTE, _so_far(item.config))
    return report


def _so_far(config: pytest.Config) -> tuple[str, float, float, int]:
    """The process's name, and the values of an :class:`~pytest_cpuaccel.report.effort.Effort`."""
    process = config.workerinput["workerid"] if is_worker(config) else ""  # type: ignore[attr-defined]
    lock, session = lock_of(config), open_session_of(config)
    exports = 0 if session is None else session.context.builder.exports.made
    return process, lock.waited_for_sessions_s, lock.waited_for_workers_s, exports


def carried_effort(report: pytest.TestReport) -> tuple[str, float, float, int] | None:
    """Return the effort that a report carries."""
    return getattr(report, ATTRIBUTE, None)
