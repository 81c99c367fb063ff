"""``cpuaccel compare``: the results of two runs, side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_cpuaccel.baselines.store import FILE, file_of
from pytest_cpuaccel.cli.fitted_text import terminal_width
from pytest_cpuaccel.cli.path_argument import path
from pytest_cpuaccel.core.budget_values import slowdown
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.report.comparison import Change, NamedReport, ReportComparison
from pytest_cpuaccel.report.saved import read_report

TOO_SLOW = 1

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
    command.add_argument(
        "--fail-above",
        metavar="SLOWDOWN",
        type=_fraction,
        help="end with exit code 1 if a latency is longer by more than this, such as 5%%",
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison; 1 if a latency is longer than ``--fail-above`` allows.

    Raises:
        UsageError: there is such a limit, and no latency that both runs have can be compared.
    """
    given = arguments.before, arguments.after
    before, after = (NamedReport(name, read_report(_file(name, arguments.baselines_dir))) for name in given)
    found = ReportComparison(before, after)
    print("\n".join(found.lines(terminal_width())))  # noqa: T201
    return 0 if arguments.fail_above is None else _held(found.changes(), arguments.fail_above)


def _held(changes: Sequence[Change], allowed: float) -> int:
    if not changes:
        raise UsageError(
            "--fail-above: no time can be compared: no call was timed in both runs on the same CPU with as many threads"
        )
    slower = [change for change in changes if change.as_long > 1 + allowed]
    print()  # noqa: T201
    for change in sorted(slower, key=lambda change: -change.as_long):
        where = ", ".join(filter(None, change.key))
        print(f"FAIL {where}: {change.as_long:.2f}x as long, allowed {1 + allowed:.4g}x")  # noqa: T201
    if not slower:
        count = len(changes)
        print(f"{count} latenc{'y' if count == 1 else 'ies'} compared, all within {1 + allowed:.4g}x")  # noqa: T201
    return TOO_SLOW if slower else 0


def _fraction(text: str) -> float:
    try:
        return float(slowdown(text))
    except UsageError as mistake:
        raise argparse.ArgumentTypeError(str(mistake)) from None


def _file(text: str, root: Path) -> Path:
    """Prefer a baseline's name: a folder or file here may have the same name."""
    given = path(text)
    for report in (root / text / FILE, given / FILE):
        if report.is_file():
            return report
    return given if given.is_file() or given.name != text or given.suffix == ".json" else file_of(root, text)
