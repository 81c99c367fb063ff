"""The JSON report: it is replaced as a whole after every test, so that an interrupted run keeps what it had."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.report.report import Environment
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run
from pytest_cpuaccel.report.whole_file import write_whole

SCHEMA = 2

_LISTS = ("evidence", "diagnoses", "notes")


class JsonFile:
    """A report file that grows by tests; ``environment`` is what they were measured on.

    Facts of the names in ``left_out`` are not written.
    """

    def __init__(self, path: Path, run: Run, environment: Environment, left_out: Collection[str] = ()) -> None:
        self._path = path
        self._run = run
        self._environment = environment
        self._left_out = left_out
        self._lines: dict[str, list[str]] = {}
        self._write()

    def put(self, test: str, rows: Sequence[Row]) -> None:
        """Write the rows of a test, in place of those that it had."""
        self._lines[test] = [json.dumps(self._result(row)) for row in rows]
        self._write()

    def finish(self, run: Run) -> None:
        """Write how long the run took."""
        self._run = run
        self._write()

    def _write(self) -> None:
        write_whole(self._path, self._text())

    def _text(self) -> Iterator[str]:
        head = {"schema": SCHEMA, "run": self._run.as_plain(), "environment": self._environment}
        yield f'{json.dumps(head, indent=1)[:-2]},\n "results": ['
        separator = ""
        for line in (line for lines in self._lines.values() for line in lines):
            yield f"{separator}\n{line}"
            separator = ","
        yield "\n]}\n"

    def _result(self, row: Row) -> dict[str, object]:
        """The facts by kind: ``{"test": ..., "parity": {"verdict": ...}, "latency": {"pairs_ns": [[1, 2]]}}``."""
        result: dict[str, object] = {"test": row.test, "outcome": row.outcome}
        if row.ending is not None:
            result["ending"] = {"kind": row.ending.kind, "reason": row.ending.reason}
        for name, value in row.facts.items():
            kind, _, fact = name.rpartition(".")
            if fact in self._left_out:
                continue
            if kind:
                group = result.setdefault(kind, {})
                assert isinstance(group, dict)
                group[fact] = _value(fact, value)
            else:
                result[name] = value
        return result


def _value(fact: str, value: Scalar) -> object:
    """A fact as JSON holds it; it has no NaN and no infinity, and both become null."""
    if fact == "pairs_ns":
        return [[int(ns) for ns in pair.split("/")] for pair in str(value).split()]
    if fact in _LISTS:
        return json.loads(str(value))
    return None if isinstance(value, float) and not math.isfinite(value) else value
