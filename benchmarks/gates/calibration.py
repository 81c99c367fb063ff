"""A calibration: what so much extra work adds to a call."""

from __future__ import annotations

from dataclasses import dataclass

SLOWDOWNS = (0, 2, 5, 10, 20)
"""Per cent; 0 are equal sides."""

STANDARD_SLOWDOWN = 20
"""The one that rounds are searched for, and that others are scaled from."""


@dataclass(frozen=True)
class Calibration:
    """``rounds`` of work were to add ``slowdown`` per cent to a call's CPU time; ``share`` is what they do add."""

    model: str
    backend: str
    slowdown: int
    rounds: int
    share: float

    @property
    def rounds_per_call(self) -> float:
        """Return the rounds that take as long as a call."""
        return self.rounds / self.share
