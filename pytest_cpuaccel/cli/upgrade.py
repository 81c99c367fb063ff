"""``cpuaccel upgrade``: the suite in this folder with other packages, against today's."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.smallest_set import smallest_set
from pytest_cpuaccel.report.saved import read_report
from pytest_cpuaccel.report.upgrade import Affected, effects, exit_code, names_of, summary

_RAN_TESTS = (0, 1)
"""Exit codes of pytest after tests have run."""
_WITHOUT_VALUE = ("-q", "-v", "-s", "-x", "-l")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser("upgrade", help="is it safe to install these packages? runs the suite with both")
    command.add_argument("--bisect", action="store_true", help="find which of several changed packages makes it worse")
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
    found, changes = _compared(packages, own)
    print("\n".join(_lines(found, changes)))  # noqa: T201
    worse = [each.test for each in found if each.is_worse]
    if arguments.bisect and worse and len(changes) > 1:
        print(f"upgrade: worse by {', '.join(_culprits(changes, own, worse))}")  # noqa: T201
    return exit_code(found)


def _compared(packages: Sequence[str], own: Sequence[str]) -> tuple[list[Affected], tuple[str, ...]]:
    """What the packages do to each call, and what they change."""
    with tempfile.TemporaryDirectory(prefix="cpuaccel-upgrade-") as folder:
        report = Path(folder) / "report.json"
        options = (
            f"--cpu-against-packages={' '.join(packages)}",
            "--cpu-against-as=candidate",
            f"--cpu-report={report}",
        )
        ended = subprocess.run([sys.executable, "-m", "pytest", *own, *options], check=False)
        if ended.returncode not in _RAN_TESTS or not report.exists():
            raise UsageError(f"pytest ended with exit code {ended.returncode} and judged nothing; its lines say why")
        rows = read_report(report).rows
    return list(effects(rows)), names_of(rows)


def _culprits(changes: Sequence[str], own: Sequence[str], tests: Sequence[str]) -> tuple[str, ...]:
    """The fewest changes that make one of these tests worse.

    Ids of tests begin at pytest's rootdir; where that is another folder, the whole suite runs each time.
    """
    begin_here = all(Path(test.partition("::")[0]).exists() for test in tests)
    asked = [*tests, *_without_places(own)] if begin_here else own

    def is_worse(some: Sequence[str]) -> bool | None:
        pins = [f"{name}=={after}" for name, _, _, after in map(str.split, some)]
        try:
            found, _ = _compared(pins, asked)
        except UsageError:
            return None
        return any(each.is_worse for each in found)

    return smallest_set([change for change in changes if not change.endswith(" none")], is_worse)


def _without_places(own: Sequence[str]) -> Iterator[str]:
    """Arguments of pytest without files and folders of tests."""
    before = ""
    for word in own:
        is_value = before.startswith("-") and "=" not in before and before not in _WITHOUT_VALUE
        if word.startswith("-") or is_value or not Path(word.partition("::")[0]).exists():
            yield word
        before = word


def _parted(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Packages and arguments of pytest, which begin after ``--`` or with the first option.

    Raises:
        UsageError: no package is named.
    """
    at = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    if at == 0:
        raise UsageError("names no package; write one, such as cpuaccel upgrade onnxruntime==1.31.1")
    return list(given[:at]), list(given[at + 1 :] if given[at:][:1] == ["--"] else given[at:])


def _lines(found: Sequence[Affected], changes: Sequence[str]) -> Iterator[str]:
    from tabulate import tabulate

    rows = [(each.test, each.backend, each.call, each.ratio, each.effect) for each in found]
    yield f"upgrade: {', '.join(changes) or 'nothing differs'}"
    yield tabulate(rows, headers=("test", "backend", "call", "as long as today", "effect"), disable_numparse=True)
    yield from (f"{each.test}: {each.why}" for each in found if each.why)
    yield f"upgrade: {summary(found)}"
