"""The backends that ran a test, under ``--cpu-unsupported=skip``: a run fails if one that the user named ran none."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_cpuaccel.plugin.reporter import reporter_of
from pytest_cpuaccel.plugin.stash import EVALUATED_TEST, RUN_FAILURES, SETTINGS, choice_of

NAME = "cpuaccel-ran-backends"
_ATTRIBUTE = "cpuaccel_ran"
"""The attribute of a pytest report that names the backend which ran the test; xdist sends it along."""


def note_backend(item: pytest.Item, report: pytest.TestReport) -> None:
    """Note in the report of a test that was not refused the backend under which a call of the model returned."""
    if report.when == "call" and EVALUATED_TEST in item.stash:
        models = item.stash[EVALUATED_TEST].models
        if models.returned:
            setattr(report, _ATTRIBUTE, models.backend.name)


class RanBackends:
    """A plugin of the process that writes to the user: xdist's controller, or the only process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._names: set[str] = set()
        self._is_told = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the backend of a test that ran."""
        if name := getattr(report, _ATTRIBUTE, None):
            self._names.add(name)

    @pytest.hookimpl(tryfirst=True)  # before the reports are written
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run under a backend that the command line names in full, if this refused every test."""
        reporter = reporter_of(self._config)
        if reporter is None or session.exitstatus != pytest.ExitCode.OK:
            return
        from pytest_cpuaccel.report.refusals import refusing_all

        found = refusing_all(reporter.rows(), self._names, self._named_in_full())
        sentences = [f"{sentence} (named by --cpu-backends)" for sentence in found]
        if sentences:
            self._config.stash[RUN_FAILURES] = sentences
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self) -> None:
        """Say why a run failed in which no test did."""
        self._say_why()

    def pytest_unconfigure(self) -> None:
        """Say it where pytest asks for no summary, as earlier releases do under ``--no-summary``."""
        self._say_why()

    def _say_why(self) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or self._is_told:
            return
        self._is_told = True
        for sentence in self._config.stash.get(RUN_FAILURES, ()):
            terminal.write_line(f"cpuaccel: the run fails: {sentence}", red=True)

    def _named_in_full(self) -> list[str]:
        """Return the backends that the command line names, neither by a glob nor by ``all``."""
        if self._config.getoption("cpu_backends") is None:
            return []
        known = choice_of(self._config).known
        return [name for name in dict.fromkeys(self._config.stash[SETTINGS].backends) if name in known]
