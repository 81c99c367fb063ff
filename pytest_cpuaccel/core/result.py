"""A result: the verdicts on one workload of one test under one backend."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.verdict import Verdict


@dataclass(frozen=True)
class Result:
    """``call`` labels the workload (``forward 2x10``); ``verdicts`` stand in the order of judging."""

    model: str
    backend: str
    call: str
    verdicts: tuple[Verdict, ...]
