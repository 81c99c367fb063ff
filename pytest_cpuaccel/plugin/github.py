"""``--cpu-report=github``: the summary of the step, and annotations at the lines of the marks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_cpuaccel.report.annotations import Place, run_commands, workflow_commands
from pytest_cpuaccel.report.mark_line import mark_line
from pytest_cpuaccel.report.problem import Problem, problems
from pytest_cpuaccel.report.report import Report
from pytest_cpuaccel.report.step_summary import VARIABLE, append_summary

_ON_GITHUB = ("GITHUB_ACTIONS", VARIABLE)

Location = tuple[str, int | None, str]
"""Of a test, as pytest tells it: the file, the number of the lines above, a name."""


def write_summary(report: Report) -> Iterator[str]:
    """Append the report to the step's summary; yield a note if that isn't possible."""
    path = os.environ.get(VARIABLE)
    if not path:
        yield f"github: {VARIABLE} is not set, as outside of GitHub Actions; no summary was written"
        return
    try:
        append_summary(report, Path(path))
    except OSError as refusal:
        yield f"github: can't write {path!r}: {refusal.strerror}"


def annotation_lines(report: Report, locations: Mapping[str, Location], root: Path) -> Iterator[str]:
    """Yield the annotations for a report, none outside of GitHub Actions.

    ``locations`` are by node id, their files relative to ``root``.
    """
    if not any(map(os.environ.get, _ON_GITHUB)):
        return
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or root)

    def place_of(problem: Problem) -> Place | None:
        location = locations.get(problem.row.test)
        return None if location is None else _place(location, root, workspace, problem.mark)

    yield from run_commands(report.failures)
    yield from workflow_commands(problems(report.rows), place_of)


def _place(location: Location, root: Path, workspace: Path, mark: str | None) -> Place:
    file, above, _ = location
    path = Path(os.path.normpath(root / file))
    shown = _within(path, workspace)
    if above is None:
        return Place(shown)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return Place(shown, above + 1)
    return Place(shown, mark_line(source, above + 1, mark))


def _within(path: Path, workspace: Path) -> str:
    """The path relative to the workspace, through links if need be; the whole path where it is outside."""
    for file, folder in ((path, workspace), (path.resolve(), workspace.resolve())):
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    return str(path)
