"""The gates by name, and which of them are installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gates.contest import Contest
from benchmarks.gates.judges.match import Match
from benchmarks.gates.trial import Ruling

LiveJudge = Callable[[Match], Ruling]
BatchJudge = Callable[[Sequence[Contest], int, Path, Path], Iterator[list[Ruling]]]


@dataclass(frozen=True)
class Gate:
    """``needs`` is the package it is made with; ``live`` gates judge builds of this process, others make their own."""

    module: str
    needs: str
    live: bool = True

    @property
    def is_installed(self) -> bool:
        """Tell whether it can be run."""
        return importlib.util.find_spec(self.needs) is not None


GATES: Mapping[str, Gate] = {
    "cpuaccel": Gate("cpuaccel", "pytest_cpuaccel"),
    "bootstrap": Gate("bootstrap", "scipy"),
    "welch": Gate("welch", "scipy"),
    "pytest-torch": Gate("pytest_torch", "pytest_torch"),
    "pytest-benchmark": Gate("pytest_benchmark", "pytest_benchmark", live=False),
    "pytest-codspeed": Gate("codspeed", "pytest_codspeed", live=False),
}


def live_judge(name: str) -> LiveJudge:
    """Return the function that judges a match."""
    judge: LiveJudge = _module(name).judge
    return judge


def batch_judge(name: str) -> BatchJudge:
    """Return the function that judges many contests in processes of its own."""
    judge: BatchJudge = _module(name).judge_all
    return judge


def _module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.gates.judges.{GATES[name].module}")
