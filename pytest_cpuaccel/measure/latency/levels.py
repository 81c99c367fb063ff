"""Levels: one figure for every process of both crews, and what their means and spreads say of the ratio."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import fmean, variance

from pytest_cpuaccel.core.distribution import t_quantile

FLOOR = 0.007
"""The least standard deviation between processes that is believed. Few processes may agree by chance, and effects of
up to 1.2 % were found between processes of one environment."""


@dataclass(frozen=True)
class Levels:
    """Of each process the logarithm of its own time over the other crew's."""

    candidates: tuple[float, ...]
    references: tuple[float, ...]

    @property
    def size(self) -> int:
        """The processes a side."""
        return len(self.candidates)

    @property
    def log_ratio(self) -> float:
        """The logarithm of candidate over reference: half the difference of means, as each crew tells all of it."""
        return (fmean(self.candidates) - fmean(self.references)) / 2

    def bounds(self, alpha_low: float, alpha_high: float) -> tuple[float, float]:
        """Return bounds of the log ratio, each wrong with its own probability (Welch, Biometrika 34, 1947, 28-35).

        That holds where levels are normal, or not far from it. It is not distribution-free. The noise of a meeting is
        in the levels of both processes, so it counts twice, and the bounds are wider than they need be.
        """
        candidates, references = (max(variance(crew), FLOOR**2) for crew in (self.candidates, self.references))
        error = math.sqrt((candidates + references) / self.size)
        degrees = (self.size - 1) * (candidates + references) ** 2 / (candidates**2 + references**2)
        return (
            self.log_ratio - _quantile(alpha_low, math.floor(10 * degrees)) * error,
            self.log_ratio + _quantile(alpha_high, math.floor(10 * degrees)) * error,
        )

    def all_above(self, log_limit: float) -> bool:
        """Tell whether every process by itself lies above a limit of candidate over reference."""
        return min(*self.candidates, *(-level for level in self.references)) > log_limit


@functools.cache
def _quantile(alpha: float, tenths: int) -> float:
    """The quantile of Student's t for a tenth of so many degrees of freedom."""
    return t_quantile(alpha, tenths / 10)
