"""A result: the verdicts on one workload of one test under one backend."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.kernel_census import KernelCensus
from pytest_cpuaccel.core.verdict import Verdict


@dataclass(frozen=True)
class Result:
    """``call`` labels the workload (``forward 2x10``); ``verdicts`` stand in the order of judging.

    ``kernels`` is the census of the very call that was judged; None where the backend can't tell.
    """

    model: str
    backend: str
    call: str
    verdicts: tuple[Verdict, ...]
    kernels: KernelCensus | None = None
