"""The reporter: it collects results from tests' reports, and writes the table and the report files."""

from __future__ import annotations

import functools
import math
import shlex
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError, UsageError
from pytest_cpuaccel.plugin.effort import carried_effort
from pytest_cpuaccel.plugin.findings import carried
from pytest_cpuaccel.plugin.options import source_of
from pytest_cpuaccel.plugin.stash import RUN_FAILURES, SETTINGS, choice_of

if TYPE_CHECKING:
    from pytest_cpuaccel.baselines.store import Draft
    from pytest_cpuaccel.core.backend import Backend
    from pytest_cpuaccel.core.tolerance_lock import LockKey, Need
    from pytest_cpuaccel.plugin.github import Location
    from pytest_cpuaccel.report.effort import Effort
    from pytest_cpuaccel.report.findings import Findings
    from pytest_cpuaccel.report.json_file import JsonFile
    from pytest_cpuaccel.report.report import Environment, Report
    from pytest_cpuaccel.report.row import Row
    from pytest_cpuaccel.report.run import Run

NAME = "cpuaccel-reporter"
SILENT = -2
"""pytest's verbosity from which on it has no closing line: -qq."""
CRASHED = "???"
"""The phase that xdist gives for a test whose worker died."""
EAGER_ONLY = "eager only; choose backends with --cpu-backends=NAMES, such as ort,openvino* or all"


class Reporter:
    """A plugin of the process that writes to the user: xdist's controller, or the only process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tests: dict[str, list[Row]] = {}
        self._notes: dict[str, None] = {}
        self._json_files: list[JsonFile] | None = None
        self._draft: Draft | None = None
        self._began = datetime.now(timezone.utc)
        self._locations: dict[str, Location] = {}
        self._efforts: dict[str, Effort] = {}
        self._needs: dict[str, dict[LockKey, Need]] = {}

    def pytest_sessionstart(self) -> None:
        """Begin the baseline to be saved, before xdist's workers write artifacts to it."""
        chosen = self._config.stash[SETTINGS]
        if chosen.save and not self._config.option.collectonly:
            from pytest_cpuaccel.baselines.store import Draft

            try:
                self._draft = Draft(chosen.baselines_dir, chosen.save, self._run, self._environment())
            except UsageError as mistake:
                raise pytest.UsageError(f"--cpu-save: {mistake}") from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the findings of a test whose body has run, or that ended before or after it."""
        self._take_effort(report)
        found = carried(report)
        if found is not None or report.when == CRASHED:
            self._locations[report.nodeid] = report.location
        if found is not None and (report.when == "call" or not report.passed):
            from pytest_cpuaccel.report.findings import findings_of

            self.add(report.nodeid, _outcome(report), findings_of(found))
        elif found is None and report.when == CRASHED:
            self._add_crashed(report)

    def add(self, test: str, outcome: str, findings: Findings) -> None:
        """Keep a test's findings in place of those that it had, and write them to the JSON reports at once.

        A test that unittest lets pass although one of its subtests failed has failed.
        """
        if outcome == "passed" and findings.endings:
            outcome = "failed"
        rows = self._tests[test] = list(findings.rows(test, outcome))
        self._notes |= dict.fromkeys(findings.notes)
        self._needs[test] = findings.needs
        for file in self._open_json_files():
            file.put(test, rows)
        if self._draft is not None:
            self._draft.put(test, rows)

    def _take_effort(self, report: pytest.TestReport) -> None:
        """Keep the latest effort of the process that made a report."""
        if told := carried_effort(report):
            from pytest_cpuaccel.report.effort import Effort

            process, for_sessions_s, for_workers_s, exports = told
            self._efforts[process] = Effort(for_sessions_s, for_workers_s, exports)

    def _effort(self) -> Effort:
        from pytest_cpuaccel.report.effort import Effort

        return Effort.total(self._efforts.values())

    def _add_crashed(self, report: pytest.TestReport) -> None:
        """Add a test under a backend whose process died; xdist reports it, without what was found."""
        from pytest_cpuaccel.report.ending import Ending
        from pytest_cpuaccel.report.findings import Findings
        from pytest_cpuaccel.report.row import without_backend

        for backend in self._chosen():
            if without_backend(report.nodeid, backend.name) != report.nodeid:
                reason = str(report.longrepr).partition("\n")[0]
                self.add(report.nodeid, "error", Findings(backend.name, endings=[Ending("error", reason)]))
                return

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports that are written whole, also when the run was interrupted."""
        through = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        is_whole = through and not session.shouldfail and not session.shouldstop
        if self._draft is not None:
            self._finish(self._draft, is_whole)
        if not self._config.option.collectonly:
            self._settle_tolerances(is_whole)
        chosen = self._config.stash[SETTINGS]
        if self._config.option.collectonly or not (chosen.reports or chosen.on_github):
            return
        from pytest_cpuaccel.report.report_files import write_files

        report = self._report()
        for file in self._open_json_files():
            file.finish(report.run)
            if file.refusal:
                self._notes[f"{source_of(self._config, 'report')}: {file.refusal}"] = None
        where = source_of(self._config, "report")
        self._notes |= dict.fromkeys(f"{where}: {refusal}" for refusal in write_files(report, chosen.reports))
        if chosen.on_github:
            self._tell_github(report)

    def _finish(self, draft: Draft, whole: bool) -> None:
        try:
            note = draft.finish(whole)
        except OSError as refusal:
            note = f"--cpu-save: can't write {str(refusal.filename)!r}: {refusal.strerror}"
        self._notes[note] = None

    def _settle_tolerances(self, is_whole: bool) -> None:
        """Write the tolerance lock, or say which of its entries are too loose."""
        is_written = self._config.stash[SETTINGS].tolerances.is_written
        if not is_written and not any(self._needs.values()):
            return
        from pytest_cpuaccel.plugin.tolerance_lock import path_of
        from pytest_cpuaccel.tolerances.settling import told, write

        path, needs = path_of(self._config), self._needs
        if not is_written:
            self._notes |= dict.fromkeys(told(path, needs))
        elif is_whole:
            self._notes |= dict.fromkeys(write(path, needs))
        else:
            self._notes["no tolerance was written: the run was cut short"] = None

    def _tell_github(self, report: Report) -> None:
        from pytest_cpuaccel.plugin.github import annotation_lines, write_summary

        where = source_of(self._config, "report")
        self._notes |= dict.fromkeys(f"{where}: {note}" for note in write_summary(report))
        lines = [*annotation_lines(report, self._locations, self._config.rootpath)]
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if lines and terminal is not None:
            terminal.line("")  # GitHub reads a command at the beginning of a line alone
            for line in lines:
                terminal.write_line(line)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Print the table, the notes, and how many verdicts there were."""
        if self._config.get_verbosity() <= SILENT or self._config.option.no_summary:
            return
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and "deselected" not in terminalreporter.stats:
            self._point_to_gate(terminalreporter)
        rows = self.rows()
        if not self._notes and not any(row.is_judged for row in rows):
            return
        from pytest_cpuaccel.report.closing import closing
        from pytest_cpuaccel.report.terminal import summary

        threads = self._config.stash[SETTINGS].threads
        terminalreporter.section(f"cpuaccel ({threads} thread{'s' * (threads > 1)})", sep="-")
        width = shutil.get_terminal_size(fallback=(0, 0)).columns or math.inf
        for line, colour in summary(rows, self._notes, width):
            terminalreporter.write_line(line, **{colour: True} if colour else {})
        if rows:
            terminalreporter.write_line(f"cpuaccel: {closing(rows, self._effort())}")
        if rows and not self._config.stash[SETTINGS].backends:
            terminalreporter.write_line(f"cpuaccel: {EAGER_ONLY}", yellow=True)

    def _point_to_gate(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how to test a model without a test, to who named one where there are none."""
        chosen = self._config.stash[SETTINGS]
        if chosen.model is None:
            return
        backends = ",".join(chosen.backends) or "ort,openvino"
        words = ["cpuaccel", "gate", chosen.model, *([f"--task={chosen.task}"] if chosen.task else [])]
        command = shlex.join([*words, f"--cpu-backends={backends}"])
        terminalreporter.write_line(f"cpuaccel: there is no test here; without one: {command}", yellow=True)

    @functools.cached_property
    def _run(self) -> Run:
        from pytest_cpuaccel.report.run import new_run

        arguments = self._config.invocation_params.args
        return new_run(["pytest", *map(str, arguments)], self._config.rootpath, self._began)

    def _report(self) -> Report:
        from pytest_cpuaccel.report.report import Report

        failures = self._config.stash.get(RUN_FAILURES, ())
        return Report(self._run.finished(), self._environment(), self.rows(), failures, tuple(self._notes))

    def rows(self) -> list[Row]:
        """Return the rows by test, and for each test by backend in the chosen order: xdist's arrive in any order."""
        if not self._tests:
            return []
        from pytest_cpuaccel.report.table import in_order

        names = [backend.name for backend in self._chosen()]
        ranks = {name: rank for rank, name in enumerate(names)}
        rows = [row for rows in self._tests.values() for row in rows]
        return in_order(sorted(rows, key=lambda row: (ranks.get(row.result.backend, len(names)), row.test)))

    def _open_json_files(self) -> Sequence[JsonFile]:
        if self._json_files is None:
            from pytest_cpuaccel.report.json_file import JsonFile

            paths = [path for path in self._config.stash[SETTINGS].reports if path.suffix == ".json"]
            self._json_files = [JsonFile(path, self._run, self._environment()) for path in paths]
        return self._json_files

    def _environment(self) -> Environment:
        from pytest_cpuaccel.report.environment import environment

        return environment(self._chosen(), self._config.stash[SETTINGS].threads)

    def _chosen(self) -> Sequence[Backend]:
        """Return the backends of the run; none if a mistake in their selection has ended it."""
        try:
            return choice_of(self._config).chosen
        except CpuaccelError:
            return ()


def _outcome(report: pytest.TestReport) -> str:
    """pytest's word for how a test ended."""
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    return "error" if report.failed and report.when != "call" else report.outcome


def reporter_of(config: pytest.Config) -> Reporter | None:
    """Return this process's reporter; None in an xdist worker, because the controller has it."""
    reporter = config.pluginmanager.get_plugin(NAME)
    return reporter if isinstance(reporter, Reporter) else None
