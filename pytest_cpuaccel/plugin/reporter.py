"""The reporter: it collects results from tests' reports, and writes the table and the report files."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError, UsageError
from pytest_cpuaccel.plugin.stash import SETTINGS, choice_of

if TYPE_CHECKING:
    from pytest_cpuaccel.baselines.store import Draft
    from pytest_cpuaccel.core.backend import Backend, Scalar
    from pytest_cpuaccel.report.json_file import JsonFile
    from pytest_cpuaccel.report.row import Row

NAME = "cpuaccel-reporter"
SILENT = -2
"""pytest's verbosity from which on it has no closing line: -qq."""
EAGER_ONLY = "eager only; choose backends with --cpu-backends=NAMES, such as ort,openvino* or all"


class Reporter:
    """A plugin of the process that writes to the user: xdist's controller, or the only process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._rows: list[Row] = []
        self._notes: dict[str, None] = {}
        self._json_files: list[JsonFile] | None = None
        self._draft: Draft | None = None

    def pytest_sessionstart(self) -> None:
        """Begin the baseline to be saved, before xdist's workers write artifacts to it."""
        chosen = self._config.stash[SETTINGS]
        if chosen.save and not self._config.option.collectonly:
            from pytest_cpuaccel.baselines.store import Draft

            try:
                self._draft = Draft(chosen.baselines_dir, chosen.save, self._environment())
            except UsageError as mistake:
                raise pytest.UsageError(f"--cpu-save: {mistake}") from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the results of a test whose body has run."""
        if report.when == "call":
            outcome = ("xpassed" if report.passed else "xfailed") if hasattr(report, "wasxfail") else report.outcome
            self.add(report.nodeid, outcome, report.user_properties)

    def add(self, test: str, outcome: str, properties: Iterable[tuple[str, object]]) -> None:
        """Keep the facts among a test's user properties, and write them to the JSON reports at once."""
        if not any(key.startswith("cpuaccel.") for key, _ in properties):
            return
        from pytest_cpuaccel.report.row import notes_of, rows_of

        rows = rows_of(test, outcome, properties)
        self._rows += rows
        self._notes |= dict.fromkeys(notes_of(properties))
        for file in self._open_json_files():
            file.add(rows)
        if self._draft is not None:
            self._draft.add(rows)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports that are written whole, also when the run was interrupted."""
        if self._draft is not None:
            through = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
            self._notes[self._draft.finish(whole=through and not session.shouldfail and not session.shouldstop)] = None
        reports = self._config.stash[SETTINGS].reports
        if not reports or self._config.option.collectonly:
            return
        from pytest_cpuaccel.report.html_file import html
        from pytest_cpuaccel.report.markdown_file import markdown

        self._open_json_files()
        for path in reports:
            if path.suffix == ".md":
                path.write_text(markdown(self._ordered(), self._environment()), encoding="utf-8")
            if path.suffix == ".html":
                path.write_text(html(self._ordered(), self._environment()), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, then the notes."""
        if not self._rows and not self._notes:
            return
        from pytest_cpuaccel.report.terminal import summary

        threads = self._config.stash[SETTINGS].threads
        terminalreporter.section(f"cpuaccel ({threads} thread{'s' * (threads > 1)})", sep="-")
        width = shutil.get_terminal_size(fallback=(0, 0)).columns or math.inf
        for line, colour in summary(self._ordered(), self._notes, width):
            terminalreporter.write_line(line, **{colour: True} if colour else {})
        if self._rows and not self._config.stash[SETTINGS].backends and self._config.get_verbosity() > SILENT:
            terminalreporter.write_line(f"cpuaccel: {EAGER_ONLY}", yellow=True)

    def _ordered(self) -> list[Row]:
        """Return the rows by backend, in the chosen order: under xdist they arrive in any order."""
        names = [backend.name for backend in self._chosen()]
        ranks = {name: rank for rank, name in enumerate(names)}
        return sorted(self._rows, key=lambda row: (ranks.get(row.result.backend, len(names)), row.test))

    def _open_json_files(self) -> Sequence[JsonFile]:
        if self._json_files is None:
            from pytest_cpuaccel.report.json_file import JsonFile

            paths = [path for path in self._config.stash[SETTINGS].reports if path.suffix == ".json"]
            self._json_files = [JsonFile(path, self._environment()) for path in paths]
        return self._json_files

    def _environment(self) -> Mapping[str, Scalar | Sequence[str]]:
        from pytest_cpuaccel.report.environment import environment

        return environment(self._chosen(), self._config.stash[SETTINGS].threads)

    def _chosen(self) -> Sequence[Backend]:
        """Return the backends of the run; none if a mistake in their selection has ended it."""
        try:
            return choice_of(self._config).chosen
        except CpuaccelError:
            return ()


def reporter_of(config: pytest.Config) -> Reporter | None:
    """Return this process's reporter; None in an xdist worker, because the controller has it."""
    reporter = config.pluginmanager.get_plugin(NAME)
    return reporter if isinstance(reporter, Reporter) else None
