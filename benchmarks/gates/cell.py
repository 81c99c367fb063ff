"""A cell of the bench: one callable under one condition, slowed by one share and held to one limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GateCell:
    """``slowdown`` and ``limit`` are per cent: what was asked of the calibration, and what gates allow."""

    model: str
    backend: str
    condition: str
    slowdown: int
    limit: int

    @property
    def ratio_limit(self) -> float:
        """Return the greatest allowed latency of the candidate over the reference."""
        return 1 + self.limit / 100

    def __str__(self) -> str:
        return f"{self.model} {self.backend} {self.condition} {self.slowdown:+d} % (limit {self.limit} %)"
