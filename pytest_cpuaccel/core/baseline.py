"""A baseline: the results of an earlier run, kept under a name so that later runs can be compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.kernel_census import KernelCensus


class BaselineKey(NamedTuple):
    """A timed call: ``call`` is its label for people, ``inputs`` the signature of its inputs."""

    test: str
    model: str
    backend: str
    call: str
    inputs: str


@dataclass(frozen=True)
class SavedResult:
    """``ratio`` is the latency over that of ``versus``; ``artifact`` is the folder that the timed model loads from.

    ``kernels`` is the census of the call.

    Each is None if the run had none.
    """

    versus: str
    ratio: Estimate | None
    p50_ns: float | None
    artifact: Path | None
    kernels: KernelCensus | None = None


@dataclass(frozen=True)
class Baseline:
    """Results, with the machine and the versions (by distribution) of their run."""

    name: str
    cpu: str
    isa: tuple[str, ...]
    threads: int
    versions: Mapping[str, str]
    results: Mapping[BaselineKey, SavedResult]
