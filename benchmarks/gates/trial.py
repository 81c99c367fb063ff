"""A trial: what one gate said of one pair of builds."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.gates.cell import GateCell
from pytest_cpuaccel.core.verdict import Outcome


@dataclass(frozen=True)
class Ruling:
    """``ratio`` is candidate over reference as the gate estimates it, ``seconds`` its time to the verdict."""

    gate: str
    outcome: Outcome
    ratio: float
    seconds: float

    @property
    def tool(self) -> str:
        """Return the tool; one tool may hold several statistics, each a gate, of one measurement."""
        return self.gate.partition(" ")[0]


@dataclass(frozen=True)
class Trial:
    """``pair`` numbers the pairs of builds in a cell."""

    cell: GateCell
    pair: int
    ruling: Ruling


def ruling_of(gate: str, ratio: float, limit: float, seconds: float) -> Ruling:
    """Return the ruling of a gate that compares one figure with the limit."""
    return Ruling(gate, Outcome.FAIL if ratio > limit else Outcome.PASS, ratio, seconds)
