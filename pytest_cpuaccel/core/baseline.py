"""A baseline: what an earlier run found, kept under a name so that later runs can be held to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pytest_cpuaccel.core.estimate import Estimate


class Timed(NamedTuple):
    """What was timed: ``call`` as people name it, ``inputs`` by their signature."""

    test: str
    model: str
    backend: str
    call: str
    inputs: str


@dataclass(frozen=True)
class SavedResult:
    """``ratio`` is latency over that of ``versus``; ``artifact`` the folder that the timed model can be loaded from.

    Each is None where the run had none.
    """

    versus: str
    ratio: Estimate | None
    p50_ns: float | None
    artifact: Path | None


@dataclass(frozen=True)
class Baseline:
    """Results, with the machine and the versions (by distribution) that they were found on."""

    name: str
    cpu: str
    isa: tuple[str, ...]
    threads: int
    versions: Mapping[str, str]
    results: Mapping[Timed, SavedResult]
