"""The cells measured so far, kept in a JSON file that is whole after every cell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.support_matrix.cell import Cell, Status

SCHEMA = 1

Environment = Mapping[str, Scalar | Sequence[str]]


class Record:
    """Cells by architecture and backend; ``path`` is None for a record that is kept in memory alone.

    A file that was written in the same environment is continued, so that a matrix can be measured in parts.

    Raises:
        UsageError: the file is no matrix, or one of another environment.
    """

    def __init__(self, path: Path | None, environment: Environment) -> None:
        self.environment = environment
        self._path = path
        self._cells: dict[tuple[str, str], Cell] = {}
        if path is not None and path.exists():
            self._take(_read(path))

    @property
    def cells(self) -> list[Cell]:
        """Return all cells, in the order in which they were first measured."""
        return list(self._cells.values())

    def has(self, architecture: str, backend: str) -> bool:
        """Tell whether there is a cell of these names."""
        return (architecture, backend) in self._cells

    def add(self, cell: Cell) -> None:
        """Replace an earlier cell of the same architecture and backend, and write the file."""
        self._cells[cell.architecture, cell.backend] = cell
        if self._path is None:
            return
        new = self._path.with_name(
            f"{self._path.name}.new"
        )  # renamed, so that a killed process leaves the old file or the new one
        new.write_text(_text(self.environment, self._cells.values()), encoding="utf-8")
        new.replace(self._path)

    def _take(self, kept: Mapping[str, object]) -> None:
        differing = _differing(kept["environment"], json.loads(json.dumps(self.environment)))  # type: ignore[arg-type]
        if differing:
            raise UsageError(f"--json: {self._path} was measured with {differing}; name another file")
        for item in kept["cells"]:  # type: ignore[attr-defined]
            cell = Cell(**{**item, "status": Status(item["status"])})
            self._cells[cell.architecture, cell.backend] = cell


def _read(path: Path) -> Mapping[str, object]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--json: {path} can't be read as a matrix ({error}); name another file") from None
    if not isinstance(kept, dict) or kept.get("schema") != SCHEMA or "cells" not in kept:
        raise UsageError(f"--json: {path} is no matrix of this version; name another file")
    return kept


def _differing(there: Environment, here: Environment) -> str:
    """Return the differences of a file's environment from this one, in words; "" if there are none."""
    names = [name for name in here if there.get(name) != here[name]]
    return "; ".join(f"{name} {there.get(name)}, here {here[name]}" for name in names)


def _text(environment: Environment, cells: Iterable[Cell]) -> str:
    head = json.dumps({"schema": SCHEMA, "environment": environment}, indent=1)
    lines = ",\n".join(json.dumps(asdict(cell)) for cell in cells)
    return f'{head[:-2]},\n "cells": [\n{lines}\n]}}\n'
