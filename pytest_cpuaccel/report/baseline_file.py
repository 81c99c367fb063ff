"""Baselines on disk: a folder for each, with a report in JSON and, beside it, the artifacts that it names.

Paths in it are relative, so that a folder can be committed, or copied to another machine.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.baseline import Baseline, Result, Timed
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.report.json_file import JsonFile
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.saved import read_report

FILE = "baseline.json"
PARTIAL = ".partial"
"""Ends the name of a baseline that is being saved, or whose run was cut short."""

_ARTIFACTS = "artifacts"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LEFT_OUT = ("latency.pairs_ns", "latency.sentence", "parity.sentence", "accuracy.sentence")


def checked_name(text: str) -> str:
    """Return a baseline's name.

    Raises:
        UsageError: it could lead out of the folder of baselines.
    """
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no name for a baseline; use letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return text


def new_name(text: str) -> str:
    """Return the name of a baseline to be saved.

    Raises:
        UsageError: as for :func:`checked_name`, or the name is kept for runs that were cut short.
    """
    if checked_name(text).endswith(PARTIAL):
        raise UsageError(f"{text!r} ends in {PARTIAL!r}, as the baselines of runs that were cut short do")
    return text


def file_of(root: Path, name: str) -> Path:
    """Return the report of a baseline.

    Raises:
        UsageError: there is none of that name; the text has those that there are.
    """
    path = root / checked_name(name) / FILE
    if not path.is_file():
        names = sorted(file.parent.name for file in root.glob(f"*/{FILE}"))
        there_are = f"there are: {', '.join(names)}" if names else "there is none yet; --cpu-save=NAME makes one"
        raise UsageError(f"no baseline named {name!r} in {root}; {there_are}")
    return path


def read_baseline(root: Path, name: str) -> Baseline:
    """Return a baseline.

    Raises:
        UsageError: there is none of that name, or its report can't be read.
    """
    path = file_of(root, name)
    report = read_report(path)
    results = {_timed(row): _result(row, path.parent) for row in report.rows}
    return Baseline(name, report.cpu, report.isa, report.threads, report.versions, results)


def shelf_of(root: Path, name: str) -> Path:
    """Return the folder for the artifacts of a baseline that is being saved."""
    return root / f"{name}{PARTIAL}" / _ARTIFACTS


class Draft:
    """A baseline being saved: under its name with ``.partial`` until the run that it is of is through.

    It takes the place of what a run that was cut short left there.
    """

    def __init__(self, root: Path, name: str, environment: Mapping[str, Scalar | Sequence[str]]) -> None:
        self._folder = root / f"{name}{PARTIAL}"
        self._final = root / name
        self._count = 0
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._file = JsonFile(self._folder / FILE, environment)

    def add(self, rows: Sequence[Row]) -> None:
        """Add the results that have a latency; the report on disk is whole again when this returns."""
        kept = [row for row in rows if row.text("latency.inputs")]
        self._count += len(kept)
        self._file.add([replace(row, facts=_without(row.facts)) for row in kept])

    def finish(self, whole: bool) -> str:
        """Give the baseline its name, in place of an earlier one, if its run was whole; return what was saved."""
        if not self._count:
            shutil.rmtree(self._folder)
            return f'nothing was saved as baseline "{self._final.name}": no latency was judged'
        results = f"{self._count} result{'s' * (self._count > 1)}"
        if not whole:
            return f'{results} saved as baseline "{self._folder.name}": the run was cut short'
        earlier = self._final.with_name(f".{self._final.name}")
        shutil.rmtree(earlier, ignore_errors=True)
        if self._final.exists():
            self._final.rename(earlier)
        self._folder.rename(self._final)
        shutil.rmtree(earlier, ignore_errors=True)
        return f'{results} saved as baseline "{self._final.name}" in {self._final}'


def _without(facts: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name: value for name, value in facts.items() if name not in _LEFT_OUT}


def _timed(row: Row) -> Timed:
    return Timed(row.test, *(row.text(name) for name in ("model", "backend", "call", "latency.inputs")))


def _result(row: Row, folder: Path) -> Result:
    artifact = Path(row.text("latency.artifact")).name
    return Result(
        versus=row.text("latency.vs"),
        ratio=Estimate.among(row.facts, "latency."),
        p50_ns=row.number("latency.p50_ns"),
        artifact=folder / _ARTIFACTS / artifact if artifact else None,
    )
