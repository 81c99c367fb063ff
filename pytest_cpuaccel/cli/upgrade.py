"""``cpuaccel upgrade``: the suite in this folder with other packages, against today's."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.report.saved import read_report
from pytest_cpuaccel.report.upgrade import Affected, effects, exit_code, names_of, summary

_FAILED = (0, 1)
"""Exit codes of pytest after tests have run."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser("upgrade", help="is it safe to install these packages? runs the suite with both")
    command.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="PACKAGE ... [-- ARGUMENTS OF PYTEST]",
        help='what to install, such as "onnxruntime==1.31.1"',
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the suite and print what the upgrade does: 0 nothing is worse, 1 something is, 2 it could not be told.

    Raises:
        UsageError: pytest did not run tests.
    """
    packages, own = _parted(arguments.words)
    with tempfile.TemporaryDirectory(prefix="cpuaccel-upgrade-") as folder:
        report = Path(folder) / "report.json"
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *own,
                f"--cpu-against-packages={' '.join(packages)}",
                "--cpu-against-as=candidate",
                f"--cpu-report={report}",
            ],
            check=False,
        )
        if ended.returncode not in _FAILED or not report.exists():
            raise UsageError(f"pytest ended with exit code {ended.returncode} and judged nothing; its lines say why")
        rows = read_report(report).rows
    found = list(effects(rows))
    print("\n".join(_lines(found, names_of(rows))))  # noqa: T201
    return exit_code(found)


def _parted(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Packages and arguments of pytest, which begin after ``--`` or with the first option.

    Raises:
        UsageError: no package is named.
    """
    at = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    if at == 0:
        raise UsageError("names no package; write one, such as cpuaccel upgrade onnxruntime==1.31.1")
    return list(given[:at]), list(given[at + 1 :] if given[at:][:1] == ["--"] else given[at:])


def _lines(found: Sequence[Affected], changes: Sequence[str]) -> list[str]:
    from tabulate import tabulate

    rows = [(each.test, each.backend, each.call, each.ratio, each.effect) for each in found]
    table = tabulate(rows, headers=("test", "backend", "call", "as long as today", "effect"), disable_numparse=True)
    reasons = [f"{each.test}: {each.why}" for each in found if each.why]
    return [f"upgrade: {', '.join(changes) or 'nothing differs'}", table, *reasons, f"upgrade: {summary(found)}"]
