"""The JSON report: one object that is whole after every result, so that an interrupted run keeps what it had."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.report.row import Row

SCHEMA = 1

_TAIL = "\n]}\n"


class JsonFile:
    """A report file that grows by results; ``environment`` is what they were measured on.

    The facts named in ``left_out`` are not written.
    """

    def __init__(
        self, path: Path, environment: Mapping[str, Scalar | Sequence[str]], left_out: Container[str] = ()
    ) -> None:
        self._path = path
        self._left_out = left_out
        self._empty = True
        head = json.dumps({"schema": SCHEMA, "environment": environment}, indent=1)
        path.write_text(f'{head[:-2]},\n "results": [{_TAIL}', encoding="utf-8")

    def add(self, rows: Sequence[Row]) -> None:
        """Append results; the file is a whole JSON object again when this returns."""
        for row in rows:
            separator = "" if self._empty else ","
            self._empty = False
            with self._path.open("r+b", buffering=0) as file:  # one write, so that a kill leaves all of it or nothing
                file.seek(-len(_TAIL), 2)
                file.write(f"{separator}\n{json.dumps(self._result(row))}{_TAIL}".encode())

    def _result(self, row: Row) -> dict[str, object]:
        """The facts by kind: ``{"test": ..., "parity": {"verdict": ...}, "latency": {"pairs_ns": [[1, 2]]}}``."""
        result: dict[str, object] = {"test": row.test, "outcome": row.outcome}
        for name, value in row.facts.items():
            if name in self._left_out:
                continue
            kind, _, fact = name.rpartition(".")
            if kind:
                group = result.setdefault(kind, {})
                assert isinstance(group, dict)
                group[fact] = _pairs(str(value)) if fact == "pairs_ns" else _plain(value)
            else:
                result[name] = value
        return result


def _pairs(text: str) -> list[list[int]]:
    return [[int(ns) for ns in pair.split("/")] for pair in text.split()]


def _plain(value: Scalar) -> Scalar | None:
    """JSON has no NaN and no infinity; both become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
