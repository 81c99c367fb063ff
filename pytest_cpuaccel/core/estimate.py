"""A ratio as far as it is known: its value, and the interval that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from pytest_cpuaccel.core.measurement.shown import Shown


@dataclass(frozen=True)
class Estimate:
    """A ratio of two latencies; ``low`` is 0 and ``high`` infinite while nothing is known of them."""

    value: float
    low: float = 0.0
    high: float = inf

    def over(self, other: Estimate) -> Estimate:
        """Return the ratio of two ratios, with every value that both intervals allow."""
        return Estimate(self.value / other.value, self.low / other.high, self.high / other.low if other.low else inf)

    def side_of(self, limit: float) -> Shown:
        """Tell whether it lies above ``limit`` or below it; OPEN while the interval reaches across."""
        if self.low > limit:
            return Shown.ABOVE
        return Shown.BELOW if self.high < limit else Shown.OPEN

    @property
    def smallest_slowdown(self) -> float:
        """Return the smallest slowdown that a race could tell from none: ``max(high / ratio, ratio / low) - 1``.

        The interval is made of the limits that neither sign test rejects. Were one side slower by a factor 1 + s, every
        ratio and both ends would grow by that factor, so a slowdown is told from none once ``low (1 + s) > 1``; and one
        of s is excluded once ``high < 1 + s``. It is infinite after too few pairs.
        """
        return max(self.high / self.value, self.value / self.low) - 1 if self.low else inf

    @property
    def inverse(self) -> Estimate:
        """Return the ratio the other way round."""
        return Estimate(1 / self.value, 1 / self.high, 1 / self.low if self.low else inf)

    def interval(self, apart_from: float | None = None, pairs: int | None = None) -> str:
        """Return ``[low, high]`` as text, words where an end is not known.

        It has two decimals, or as many as show on which side of a limit each end lies. ``pairs`` were taken so far.
        """
        if not self.low or self.high == inf:
            return "(no interval yet)" if pairs is None else f"(no interval yet: {pairs} pairs)"
        digits = next((digits for digits in range(2, 6) if self._told_apart(apart_from, digits)), 2)
        return f"[{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def _told_apart(self, limit: float | None, digits: int) -> bool:
        return limit is None or all(
            (round(end, digits) > round(limit, digits)) is (end > limit)
            and (round(end, digits) < round(limit, digits)) is (end < limit)
            for end in (self.low, self.high)
        )

    def __str__(self) -> str:
        return f"{self.value:.2f}x {self.interval()}"
