"""What comparing one output came to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.parity_summary import OutputSummary
from pytest_cpuaccel.core.tolerance_lock import Need
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.check import Check


@dataclass(frozen=True)
class JudgedOutput:
    """``sentence`` names the output, ``compared`` counts elements, ``use`` is the share of the allowance.

    ``limit`` is the difference above which an element counts as off, ``top1`` the share of agreeing positions where
    the tolerance asks for it. ``check`` is what decided of numbers that were held to a limit. ``need`` is what a
    tolerance lock would hold; None where a mark sets the tolerance, and of what is no number near another.
    """

    name: str
    outcome: Outcome
    sentence: str
    compared: int = 0
    masked: int = 0
    use: float = math.inf
    figure: str = ""
    summary: OutputSummary = field(default_factory=OutputSummary)
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limit: float = 0.0
    top1: Share | None = None
    check: Check | None = None
    need: Need | None = None
