"""Backends that must run where the tests run: skipped there for what is not installed, they fail the run."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest

VARIABLE = "CPUACCEL_MUST_RUN"
"""Names and globs, as ``ort*,openvino``; each environment of tox has its own."""


def names_in(text: str) -> list[str]:
    """Return the backends that names and globs stand for, all of them installed.

    Raises:
        pytest.UsageError: one that isn't installed, or a name that no backend has.
    """
    from pytest_cpuaccel.backends.registry import BUILTIN
    from pytest_cpuaccel.backends.requirements import unmet_requirement

    names: dict[str, None] = {}
    for pattern in filter(None, text.replace(" ", "").split(",")):
        found = [backend for backend in BUILTIN if fnmatchcase(backend.name, pattern)]
        if not found:
            raise pytest.UsageError(f"{VARIABLE}: no backend named {pattern!r}")
        for backend in found:
            if reason := unmet_requirement(backend):
                raise pytest.UsageError(f"{VARIABLE}: must run here: {reason}")
            names[backend.name] = None
    return [*names]


class MustRun:
    """Fails a run in which a test was skipped because one of these backends lacks something."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._skipped: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if "pip install" in reason and reason.partition(": ")[0] in self._names:
                self._skipped[reason] = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reason in self._skipped:
            terminalreporter.write_line(f"ERROR: {VARIABLE}: must run here, and was skipped: {reason}", red=True)
