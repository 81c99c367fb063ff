"""A ratio as far as it is known: its value, and the interval that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Outcome


@dataclass(frozen=True)
class Estimate:
    """A ratio of two latencies; ``low`` is 0 and ``high`` infinite while nothing is known of them."""

    value: float
    low: float = 0.0
    high: float = inf

    @classmethod
    def among(cls, facts: Mapping[str, Scalar], prefix: str = "") -> Estimate | None:
        """Return the estimate that facts hold as ``ratio``, ``ratio_low`` and ``ratio_high``; None without any."""
        value, low, high = (facts.get(f"{prefix}{name}") for name in ("ratio", "ratio_low", "ratio_high"))
        if not isinstance(value, (int, float)) or value <= 0:
            return None
        return cls(
            float(value),
            float(low) if isinstance(low, (int, float)) else 0.0,
            float(high) if isinstance(high, (int, float)) else inf,
        )

    def over(self, other: Estimate) -> Estimate:
        """Return the ratio of two ratios, with every value that both intervals allow."""
        return Estimate(self.value / other.value, self.low / other.high, self.high / other.low if other.low else inf)

    def held_to(self, limit: float) -> Outcome:
        """Tell whether it lies above ``limit`` or below it; INCONCLUSIVE while the interval reaches across."""
        if self.low > limit:
            return Outcome.FAIL
        return Outcome.PASS if self.high < limit else Outcome.INCONCLUSIVE

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
