"""A saved report: what ``--cpu-report`` or ``--cpu-save`` wrote as JSON, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.report.ending import Ending
from pytest_cpuaccel.report.facts.result import result_of
from pytest_cpuaccel.report.facts.scalars import STRUCTURED
from pytest_cpuaccel.report.json_file import SCHEMA
from pytest_cpuaccel.report.row import Row

_READ = (1, SCHEMA)
"""Schema 1 has no run, no rows without a verdict, and no explanations; all else is as it was."""


@dataclass(frozen=True)
class SavedReport:
    """Rows, with the machine and the versions (by distribution) that they were found on."""

    cpu: str
    isa: tuple[str, ...]
    threads: int
    versions: Mapping[str, str]
    rows: tuple[Row, ...]

    @property
    def machine(self) -> str:
        """Return what two reports must have in common for their times to be compared."""
        return f"{self.cpu} ({' '.join(self.isa)}), {self.threads} thread{'s' * (self.threads > 1)}"


def read_report(path: Path) -> SavedReport:
    """Return the report in a JSON file.

    Raises:
        UsageError: it can't be read, is damaged, or is of another version of this package.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as refusal:
        raise UsageError(f"{path}: {refusal.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is damaged, or no report in JSON: {error}") from None
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema not in _READ:
        raise UsageError(
            f"{path}: has schema {schema!r}, and this version reads {' and '.join(map(str, _READ))}; save it anew"
        )
    try:
        environment = found["environment"]
        return SavedReport(
            cpu=str(environment["cpu"]),
            isa=tuple(map(str, environment["isa"])),
            threads=int(environment["threads"]),
            versions=dict(str(version).split(" ", 1) for version in environment["versions"]),
            rows=tuple(_row(result) for result in found["results"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: is damaged: {type(error).__name__}: {error}") from None


def _row(result: Mapping[str, object]) -> Row:
    ending = result.get("ending")
    facts = dict(_facts(result))
    return Row(
        str(result["test"]),
        str(result["outcome"]),
        result_of(facts),
        Ending(ending["kind"], ending["reason"]) if isinstance(ending, Mapping) else None,
    )


def _facts(result: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """The facts by their dotted names; what has parts of its own stands in a fact as text."""
    for name, value in result.items():
        if name in STRUCTURED:
            yield f"{prefix}{name}", json.dumps(value)
        elif isinstance(value, Mapping):
            yield from _facts(value, f"{prefix}{name}.")
        elif name == "pairs_ns":
            yield f"{prefix}{name}", " ".join(f"{ours}/{theirs}" for ours, theirs in cast("list[list[int]]", value))
        elif isinstance(value, (str, int, float, bool)):
            yield f"{prefix}{name}", value
