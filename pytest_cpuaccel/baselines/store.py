"""Baselines on disk: a folder for each, with a report in JSON and, beside it, the artifacts that it names.

Paths in it are relative, so that a folder can be committed, or copied to another machine.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_cpuaccel.core.baseline import Baseline, BaselineKey, SavedResult
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.report.facts.scalars import STRUCTURED
from pytest_cpuaccel.report.json_file import JsonFile
from pytest_cpuaccel.report.report import Environment
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run
from pytest_cpuaccel.report.saved import read_report

FILE = "baseline.json"
PARTIAL = ".partial"
"""Ends the name of a baseline that is being saved, or whose run was cut short."""

_ARTIFACTS = "artifacts"
_LOCK = ".lock"
_OWN = frozenset({FILE, _ARTIFACTS, _LOCK})
_BEGINNING = re.compile(r'\s*\{\s*"schema"\s*:')
"""How every report begins that was written to ``FILE``, torn ones too."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LEFT_OUT = ("pairs_ns", "sentence", *(name for name in STRUCTURED if name != "census"))
"""The census stays: kernels are compared with those of today."""


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


def check_free(root: Path, name: str) -> None:
    """Check that a baseline can be saved under a name without touching what is not one.

    Raises:
        UsageError: something else has that name.
    """
    for folder in (root / name, root / f"{name}{PARTIAL}"):
        if folder.is_symlink() or (folder.exists() and not _is_baseline(folder)):
            raise UsageError(f"{str(folder)!r} is there and no baseline; choose another name or folder")


class Draft:
    """A baseline being saved: under its name with ``.partial`` until the run that it is of is through.

    It takes the place of what a run that was cut short left there. Only one session saves a baseline of a name.
    """

    def __init__(self, root: Path, name: str, run: Run, environment: Environment) -> None:
        """Begin it.

        Raises:
            UsageError: another session is saving a baseline of that name, or something else has the name.
        """
        check_free(root, name)
        self._folder = root / f"{name}{PARTIAL}"
        self._final = root / name
        self._counts: dict[str, int] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._folder / _LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"another session is saving baseline {name!r} in {root}; save under another name"
            ) from None
        _clear(self._folder)
        self._file = JsonFile(self._folder / FILE, run, environment, _LEFT_OUT)

    def put(self, test: str, rows: Sequence[Row]) -> None:
        """Write those of a test's results that have a latency, in place of those that it had."""
        kept = [row for row in rows if _timed(row).inputs]
        if kept or test in self._counts:
            self._counts[test] = len(kept)
            self._file.put(test, kept)

    def finish(self, whole: bool) -> str:
        """Give the baseline its name, in place of an earlier one, if its run was whole; return what was saved.

        Raises:
            OSError: it can't be renamed.
        """
        self._file.flush()
        self._lock.release()
        (self._folder / _LOCK).unlink(missing_ok=True)
        if self._file.refusal:
            return f'nothing was saved as baseline "{self._final.name}": {self._file.refusal}'
        count = sum(self._counts.values())
        if not count:
            _clear(self._folder)
            return f'nothing was saved as baseline "{self._final.name}": no latency was judged'
        results = f"{count} result{'s' * (count > 1)}"
        if not whole:
            return f'{results} saved as baseline "{self._folder.name}": the run was cut short'
        if self._final.exists():
            self._replace()
        else:
            self._folder.rename(self._final)
        return f'{results} saved as baseline "{self._final.name}" in {self._final}'

    def _replace(self) -> None:
        """Take the place of the earlier baseline; what somebody else put beside it there is kept."""
        with tempfile.TemporaryDirectory(prefix=f".{self._final.name}-", dir=self._final.parent) as scratch:
            earlier = self._final.rename(Path(scratch, self._final.name))
            self._folder.rename(self._final)
            for path in earlier.iterdir():
                if path.name not in _OWN:
                    path.rename(self._final / path.name)


def _is_baseline(folder: Path) -> bool:
    """Tell whether a folder holds a report that this package wrote, or nothing, as when a run was killed at once."""
    try:
        if {path.name for path in folder.iterdir()} <= {_LOCK, _ARTIFACTS}:
            return True
        return _BEGINNING.match((folder / FILE).read_text(encoding="utf-8")) is not None
    except (OSError, ValueError):
        return False


def _clear(folder: Path) -> None:
    """Remove what a baseline consists of, and its folder unless somebody else keeps something there."""
    (folder / FILE).unlink(missing_ok=True)
    artifacts = folder / _ARTIFACTS
    if not artifacts.is_symlink():
        shutil.rmtree(artifacts, ignore_errors=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _timed(row: Row) -> BaselineKey:
    found, latency = row.result, row.measured(LatencyMeasurement)
    inputs = latency.inputs if latency else None
    return BaselineKey(row.test, found.model, found.backend, found.call, inputs or "")


def _result(row: Row, folder: Path) -> SavedResult:
    found = row.measured(LatencyMeasurement)
    if found is None:
        return SavedResult("", None, None, None)
    artifact = Path(found.artifact or "").name
    return SavedResult(
        versus=found.vs,
        ratio=found.race.estimate if found.race else None,
        p50_ns=found.p50_ns,
        artifact=folder / _ARTIFACTS / artifact if artifact else None,
        kernels=row.result.kernels,
    )
