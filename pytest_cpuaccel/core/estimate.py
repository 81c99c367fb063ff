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

    def __str__(self) -> str:
        return f"{self.value:.2f}x [{self.low:.2f}, {self.high:.2f}]"
