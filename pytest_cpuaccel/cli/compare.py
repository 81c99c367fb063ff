"""``cpuaccel compare``: the results of two runs, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_cpuaccel.baselines.store import FILE, file_of
from pytest_cpuaccel.cli.path_argument import path
from pytest_cpuaccel.report.comparison import comparison
from pytest_cpuaccel.report.saved import read_report

_FOLDER = Path(".cpuaccel") / "baselines"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser("compare", help="the results of two runs, side by side")
    for run_of in ("before", "after"):
        command.add_argument(run_of, help="a baseline's name or folder, or a report that --cpu-report wrote as .json")
    command.add_argument(
        "--baselines-dir",
        metavar="FOLDER",
        type=path,
        default=_FOLDER,
        help=f"folder with the named baselines (default: {_FOLDER})",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison. It is for people to read: a slower run is no error."""
    files = [_file(text, arguments.baselines_dir) for text in (arguments.before, arguments.after)]
    before, after = map(read_report, files)
    print("\n".join(comparison(arguments.before, before, arguments.after, after)))  # noqa: T201
    return 0


def _file(text: str, root: Path) -> Path:
    """Prefer a baseline's name: a folder or file here may have the same name."""
    given = path(text)
    for report in (root / text / FILE, given / FILE):
        if report.is_file():
            return report
    return given if given.is_file() or given.name != text or given.suffix == ".json" else file_of(root, text)
