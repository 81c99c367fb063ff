"""The JSON report: it is replaced as a whole as the run goes on, so that one that is killed keeps what it had."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.report.facts.scalars import STRUCTURED
from pytest_cpuaccel.report.report import Environment
from pytest_cpuaccel.report.row import Row
from pytest_cpuaccel.report.run import Run
from pytest_cpuaccel.report.whole_file import write_whole

SCHEMA = 2

_CHEAP_S = 0.05
"""A file that takes no longer to write is written after every test."""
_PAUSE = 20
"""The time between two writes of a larger one, in times that it takes to write: writing takes 5 % of a run at most."""


class JsonFile:
    """A report file that grows by tests; ``environment`` is what they were measured on.

    Facts of the names in ``left_out`` are not written. ``refusal`` says why the last write failed, "" if it did not;
    the next one writes all that is to stand in the file.
    """

    def __init__(self, path: Path, run: Run, environment: Environment, left_out: Collection[str] = ()) -> None:
        self._path = path
        self._run = run
        self._environment = environment
        self._left_out = left_out
        self._notes: Sequence[str] = ()
        self._lines: dict[str, list[str]] = {}
        self.refusal = ""
        self._written_s = self._took_s = 0.0
        self.flush()

    def put(self, test: str, rows: Sequence[Row]) -> None:
        """Take the rows of a test, in place of those that it had, and write them unless the last write was just now."""
        self._lines[test] = [json.dumps(self._result(row)) for row in rows]
        if self._took_s < _CHEAP_S or time.monotonic() - self._written_s > _PAUSE * self._took_s:
            self.flush()

    def finish(self, run: Run, notes: Sequence[str] = ()) -> None:
        """Write how long the run took, and notes on it."""
        self._run, self._notes = run, notes
        self.flush()

    def flush(self) -> None:
        """Write all that there is."""
        start_s = time.monotonic()
        try:
            write_whole(self._path, self._text())
            self.refusal = ""
        except OSError as error:
            self.refusal = f"can't write {str(self._path)!r}: {error.strerror}"
        self._written_s = time.monotonic()
        self._took_s = self._written_s - start_s

    def _text(self) -> Iterator[str]:
        head: dict[str, object] = {"schema": SCHEMA, "run": self._run.as_plain(), "environment": self._environment}
        if self._notes:
            head["notes"] = list(self._notes)
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
                result[name] = _value(name, value)
        return result


def _value(fact: str, value: Scalar) -> object:
    """A fact as JSON holds it; it has no NaN and no infinity, and both become null."""
    if fact == "pairs_ns":
        return [[int(ns) for ns in pair.split("/")] for pair in str(value).split()]
    if fact in STRUCTURED:
        return json.loads(str(value))
    return None if isinstance(value, float) and not math.isfinite(value) else value
