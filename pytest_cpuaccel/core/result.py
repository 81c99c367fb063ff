"""A result: what was found about one workload of one test under one backend."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.verdict import Verdict


@dataclass(frozen=True)
class Result:
    """``call`` says what was done (``forward 2x10``); ``verdicts`` come in the order in which they were reached."""

    model: str
    backend: str
    call: str
    verdicts: tuple[Verdict, ...]
