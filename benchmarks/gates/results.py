"""The results of the bench, in a file of JSON lines that grows by one line at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gates.calibration import Calibration
from benchmarks.gates.cell import GateCell
from benchmarks.gates.speedup import Speedup
from benchmarks.gates.trial import Ruling, Trial
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.verdict import Outcome

Result = Calibration | Trial | Speedup


class Results:
    """What was measured so far; a run that was killed keeps all but the line it was writing.

    Raises:
        UsageError: the file holds results of another environment.
    """

    def __init__(self, path: Path, environment: Mapping[str, Any]) -> None:
        self.environment = environment
        self.calibrations: list[Calibration] = []
        self.trials: list[Trial] = []
        self.speedups: list[Speedup] = []
        self._judged: set[tuple[GateCell, int, str]] = set()
        self._path = path
        lines = _whole_lines(path)
        if not lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"environment": environment}) + "\n", encoding="utf-8")
            return
        if json.loads(lines[0])["environment"] != json.loads(json.dumps(environment)):
            raise UsageError(f"--results: {path} was measured on other versions or another machine; name another file")
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for line in lines[1:]:
            self._take(_result(json.loads(line)))

    def add(self, result: Result) -> None:
        """Keep a result, and write it now."""
        self._take(result)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({type(result).__name__.lower(): asdict(result)}) + "\n")

    def is_judged(self, cell: GateCell, pair: int, tool: str) -> bool:
        """Tell whether a tool has judged this pair of a cell."""
        return (cell, pair, tool) in self._judged

    def calibrations_of(self, model: str, backend: str) -> dict[int, Calibration]:
        """Return the calibrations of one callable by slowdown."""
        return {item.slowdown: item for item in self.calibrations if (item.model, item.backend) == (model, backend)}

    def _take(self, result: Result) -> None:
        if isinstance(result, Trial):
            self.trials.append(result)
            self._judged.add((result.cell, result.pair, result.ruling.tool))
        elif isinstance(result, Calibration):
            self.calibrations.append(result)
        else:
            self.speedups.append(result)


def _whole_lines(path: Path) -> list[str]:
    """The lines that were written to their end; a kill can cut only the last."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _result(fields: Mapping[str, Any]) -> Result:
    ((kind, values),) = fields.items()
    if kind == "trial":
        ruling = Ruling(**{**values["ruling"], "outcome": Outcome(values["ruling"]["outcome"])})
        return Trial(GateCell(**values["cell"]), values["pair"], ruling)
    return Calibration(**values) if kind == "calibration" else Speedup(**values)
