"""``cpuaccel matrix``: which architectures run right under which backends."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_cpuaccel.backends.plugins import known_backends
from pytest_cpuaccel.backends.registry import select
from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.cli.path_argument import path
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import BackendUnavailableError, UsageError
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.report.environment import environment
from pytest_cpuaccel.support_matrix.cell import Cell
from pytest_cpuaccel.support_matrix.page import page
from pytest_cpuaccel.support_matrix.record import Record
from pytest_cpuaccel.support_matrix.run import matrix
from pytest_cpuaccel.support_matrix.worker import THREADS
from pytest_cpuaccel.zoo.architecture import Architecture
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

_ALL = "all"
_TOLD = ("isa", "threads", "python", "versions")
"""The parts of the environment that answers depend on."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser("matrix", help="which architectures run right under which backends")
    parser.add_argument("--architectures", default=_ALL, metavar="NAMES", help="names and globs, such as bert,gpt*")
    parser.add_argument("--backends", default=_ALL, metavar="NAMES", help="names and globs, such as ort,openvino*")
    parser.add_argument("--json", type=path, metavar="FILE", help="results; a file of the same versions is continued")
    parser.add_argument("--missing", action="store_true", help="measure only the cells that the --json file lacks")
    parser.add_argument("--page", type=path, metavar="FILE", help="the same as a page of Markdown")
    parser.add_argument("--timeout", type=_positive(float), default=300.0, metavar="S", help="most seconds for a cell")
    parser.add_argument("--jobs", type=_positive(int), default=1, metavar="N", help="processes at a time")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, report each cell on stderr as it is finished, and write the files that were asked for.

    Raises:
        UsageError: a name that nothing has, a backend that isn't installed, a file that can't be written.
    """
    found = known_backends(Path.cwd())
    known = found.by_name
    for problem in found.problems:
        print(f"cpuaccel matrix: {problem}", file=sys.stderr)  # noqa: T201
    architectures = _architectures(arguments.architectures)
    backends = _backends(arguments.backends, known)
    installed = [backend for backend in known.values() if unmet_requirement(backend) is None]
    for file in (arguments.json, arguments.page):
        _check_folder(file)
    told = environment(installed, THREADS)
    record = Record(arguments.json, {name: told[name] for name in _TOLD})
    done = record if arguments.missing else Record(None, {})
    plan = [
        (item, [backend for backend in backends if not done.has(item.name, backend.name)]) for item in architectures
    ]
    try:
        for cell in matrix(plan, timeout_s=arguments.timeout, jobs=arguments.jobs):
            record.add(cell)
            print(_line(cell), file=sys.stderr, flush=True)  # noqa: T201
    finally:
        if arguments.page:
            arguments.page.write_text(
                page(record.cells, ARCHITECTURES, _rows(known, record.cells), record.environment), encoding="utf-8"
            )
    return int(any(cell.status.is_bad for cell in record.cells))


def _architectures(wanted: str) -> list[Architecture]:
    chosen: dict[str, Architecture] = {}
    for name in _names(wanted):
        matching = [item for item in ARCHITECTURES if name == _ALL or fnmatchcase(item.name, name)]
        if not matching:
            raise UsageError(
                f"--architectures: no architecture named {name!r}; {suggestion(name, (i.name for i in ARCHITECTURES))}"
            )
        chosen |= {item.name: item for item in matching}
    return list(chosen.values())


def _backends(wanted: str, known: Mapping[str, Backend]) -> list[Backend]:
    try:
        chosen = select(_names(wanted), known)
    except (UsageError, BackendUnavailableError) as mistake:
        raise UsageError(f"--backends: {mistake}") from None
    missing = [reason for backend in chosen if (reason := unmet_requirement(backend))]
    if missing:
        raise UsageError(f"--backends: {'; '.join(missing)}")
    return chosen


def _rows(known: Iterable[str], cells: Iterable[Cell]) -> list[str]:
    """Return the names of the backends for the page, also of one that a file has cells of and nobody adds any more."""
    return list(dict.fromkeys((*known, *(cell.backend for cell in cells))))


def _names(text: str) -> Sequence[str]:
    return text.replace(",", " ").split()


def _check_folder(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise UsageError(f"no folder {str(file.parent)!r} to write {file.name!r} to; make it first")


def _positive(kind: type[float]) -> type[float]:
    def parse(text: str) -> float:
        number = kind(text)
        if number <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not positive")
        return number

    return parse  # type: ignore[return-value]


def _line(cell: Cell) -> str:
    said = textwrap.shorten(cell.reason or cell.figure, 120, placeholder=" ...")
    return f"{cell.architecture:21} {cell.backend:18} {cell.status.value:11} {cell.seconds:6.1f} s  {said}"
