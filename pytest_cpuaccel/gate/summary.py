"""What a gate found: report files, and lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.report.closing import closing
from pytest_cpuaccel.report.environment import environment
from pytest_cpuaccel.report.failure import failure_text
from pytest_cpuaccel.report.json_file import JsonFile
from pytest_cpuaccel.report.reasons import all_reasons
from pytest_cpuaccel.report.report import Report
from pytest_cpuaccel.report.report_files import write_files
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run
from pytest_cpuaccel.report.table import in_order
from pytest_cpuaccel.report.terminal import summary


@dataclass
class Summary:
    """The rows found so far; ``reports`` are the files to write, ``refusals`` says which could not be."""

    run: Run
    backends: Sequence[Backend]
    threads: int
    reports: Sequence[Path]
    rows: list[Row] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._environment = environment(self.backends, self.threads)
        paths = [path for path in self.reports if path.suffix == ".json"]
        self._json_files = [JsonFile(path, self.run, self._environment) for path in paths]

    @property
    def failed(self) -> bool:
        """Tell whether any row is of a failure."""
        return any(row.outcome == "failed" for row in self.rows)

    def add(self, row: Row) -> None:
        """Keep a row, and write it to the JSON reports at once."""
        self.rows.append(row)
        for file in self._json_files:
            file.put(row.test, [other for other in self.rows if other.test == row.test])

    def write(self, notes: Sequence[str]) -> None:
        """Write the reports, with notes on the run."""
        run = self.run.finished()
        for file in self._json_files:
            file.finish(run, notes)
            self.refusals += filter(None, [file.refusal])
        report = Report(run, self._environment, in_order(self.rows), notes)
        self.refusals += write_files(report, self.reports)

    def lines(self, notes: Iterable[str], width: float) -> Iterator[tuple[str, str]]:
        """Yield failures, the table, reasons and counts, each line with its colour, to fit ``width`` characters."""
        failures = failure_text((row.result for row in self.rows), Outcome.FAIL)
        if failures:
            yield from ((line, "" if line.startswith(" ") else "red") for line in failures.splitlines())
            yield "", ""
        yield from summary(in_order(self.rows), [*notes, *self.refusals], width, all_reasons)
        counts = closing(self.rows)
        if counts:
            yield f"{counts} in {self.run.finished().seconds:.3g} s", "red" if self.failed else "green"
