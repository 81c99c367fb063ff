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
from pytest_cpuaccel.environments.wanted import requirements_in
from pytest_cpuaccel.report.saved import read_report
from pytest_cpuaccel.report.upgrade import Upgrade, upgrade_of

_RAN_TESTS = (0, 1)
"""Exit codes of pytest after tests have run."""
_REPORT = "--cpu-report"
_WITHOUT_VALUE = ("-q", "-v", "-s", "-x", "-l")


_OWN_BACKENDS = ("--cpu-backends=ort,openvino", "--cpu-missing=skip")
"""The backends of a checkpoint's test where none are named."""

_CHECKPOINT_TEST = """\
import pytest

from pytest_cpuaccel.builder.load_model import eager_model_of
from pytest_cpuaccel.gate.examples import examined_checkpoint

FOLDER, TASK = {folder!r}, {task!r}


@pytest.fixture(scope="module")
def eager_model():
    return eager_model_of(FOLDER, TASK, of="--gate")


@pytest.mark.parity
def test_checkpoint(cpu_model, eager_model):
    for example in examined_checkpoint(FOLDER, eager_model, TASK).examples:
        given = example.inputs.clone()
        run = cpu_model.generate if example.method == "generate" else cpu_model
        run(*given.args, **given.kwargs)
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "upgrade",
        help="is it safe to install these packages? runs the suite with both",
        usage="cpuaccel upgrade [--bisect] [--gate FOLDER [--task TASK]] PACKAGE ... [-- ARGUMENTS OF PYTEST]",
    )
    command.add_argument("--bisect", action="store_true", help="find which of several changed packages makes it worse")
    command.add_argument("--gate", metavar="FOLDER", help="compare a checkpoint, in place of the suite in this folder")
    command.add_argument("--task", help="the checkpoint's task, such as 'text-classification'")
    command.add_argument(
        "packages", nargs="+", metavar="PACKAGE", help='what to install, such as "onnxruntime==1.31.1"'
    )
    command.set_defaults(run=run, own=[])


def parsed(parser: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of any command; of this one, those after ``--`` are pytest's own."""
    at = given.index("--") if "--" in given and given[0] == "upgrade" else len(given)
    chosen = parser.parse_args(list(given[:at]))
    chosen.own = list(given[at + 1 :])
    return chosen


def run(arguments: argparse.Namespace) -> int:
    """Run the suite and print what the upgrade does: 0 nothing is worse, 1 something is, 2 it could not be told.

    Raises:
        UsageError: pytest did not run tests, or an argument is not one package.
    """
    for text in arguments.packages:
        if len(requirements_in(text, Path.cwd())) > 1:
            raise UsageError(f"{text!r} names several packages; write each as an argument of its own")
    with tempfile.TemporaryDirectory(prefix="cpuaccel-upgrade-") as scratch:
        own = [*arguments.own] if arguments.gate is None else list(_of_checkpoint(arguments, Path(scratch)))
        found = _compared(arguments.packages, own)
        print("\n".join(_lines(found)))  # noqa: T201
        if arguments.bisect and found.worse and len(found.changes) > 1:
            culprits = _culprits(found.changes, own, [each.test for each in found.worse])
            print(f"upgrade: worse by {', '.join(culprits)}")  # noqa: T201
    return found.exit_code


def _of_checkpoint(arguments: argparse.Namespace, scratch: Path) -> Iterator[str]:
    """The arguments of pytest for a test of a checkpoint, which is written to a folder."""
    folder = Path(arguments.gate).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"--gate={arguments.gate}: there is no folder {folder}")
    file = scratch / "test_checkpoint.py"
    file.write_text(_CHECKPOINT_TEST.format(folder=str(folder), task=arguments.task), encoding="utf-8")
    yield from (str(file), f"--rootdir={scratch}")
    if not any(word.startswith("--cpu-backends") for word in arguments.own):
        yield from _OWN_BACKENDS
    yield from arguments.own


def _compared(packages: Sequence[str], own: Sequence[str]) -> Upgrade:
    """What the packages do to the suite."""
    with tempfile.TemporaryDirectory(prefix="cpuaccel-upgrade-") as folder:
        report = Path(folder) / "report.json"
        others, files = _with_reports(own)
        options = (
            f"--cpu-against-packages={' '.join(packages)}",
            "--cpu-against-as=candidate",
            f"{_REPORT}={','.join((str(report), *files))}",
        )
        ended = subprocess.run([sys.executable, "-m", "pytest", *others, *options], check=False)
        if ended.returncode not in _RAN_TESTS or not report.exists():
            raise UsageError(f"pytest ended with exit code {ended.returncode} and judged nothing; its lines say why")
        return upgrade_of(read_report(report).rows)


def _with_reports(own: Sequence[str]) -> tuple[list[str], list[str]]:
    """Arguments of pytest without the reports that the user names there, and these."""
    others, files = [], []
    for word, before in zip(own, ("", *own), strict=False):
        if before == _REPORT:
            files.append(word)
        elif word.startswith(f"{_REPORT}="):
            files.append(word.partition("=")[2])
        elif word != _REPORT:
            others.append(word)
    return others, files


def _culprits(changes: Sequence[str], own: Sequence[str], tests: Sequence[str]) -> tuple[str, ...]:
    """The fewest changes that make one of these tests worse.

    Ids of tests begin at pytest's rootdir; where that is another folder, the whole suite runs each time.
    """
    begin_here = all(Path(test.partition("::")[0]).exists() for test in tests)
    asked, _ = _with_reports([*tests, *_without_places(own)] if begin_here else own)

    def is_worse(some: Sequence[str]) -> bool | None:
        pins = [f"{name}=={after}" for name, _, _, after in map(str.split, some)]
        try:
            return bool(_compared(pins, asked).worse)
        except UsageError:
            return None

    return smallest_set([change for change in changes if not change.endswith(" none")], is_worse)


def _without_places(own: Sequence[str]) -> Iterator[str]:
    """Arguments of pytest without files and folders of tests."""
    before = ""
    for word in own:
        is_value = before.startswith("-") and "=" not in before and before not in _WITHOUT_VALUE
        if word.startswith("-") or is_value or not Path(word.partition("::")[0]).exists():
            yield word
        before = word


def _lines(found: Upgrade) -> Iterator[str]:
    from tabulate import tabulate

    rows = [(each.test, each.backend, each.call, each.ratio, each.effect) for each in found.affected]
    yield f"upgrade: {', '.join(found.changes) or 'nothing differs'}"
    yield tabulate(rows, headers=("test", "backend", "call", "as long as today", "effect"), disable_numparse=True)
    yield from (f"{each.test}: {each.why}" for each in found.affected if each.why)
    if found.left_out:
        tests = f"{found.left_out} test{'s' * (found.left_out > 1)}"
        yield f"upgrade: {tests} had nothing to compare: no mark on answers or latency, or no verdict today"
    yield f"upgrade: {found.summary}"
