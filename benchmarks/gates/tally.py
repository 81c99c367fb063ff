"""A tally: how often a gate said what, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import binomial
from benchmarks.gates.trial import Ruling
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.quantile import quantile


@dataclass(frozen=True)
class Proportion:
    """So many of a total."""

    count: int
    total: int

    @property
    def rate(self) -> float:
        """Return the share as a fraction; 0 of nothing is 0."""
        return self.count / self.total if self.total else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the exact 95 % interval of the rate (Clopper-Pearson); all that is possible, of nothing."""
        return binomial.bounds(self.count, self.total) if self.total else (0.0, 1.0)

    def __str__(self) -> str:
        if not self.total:
            return ""
        low, high = self.bounds
        return f"{self.count}/{self.total} [{100 * low:.1f}, {100 * high:.1f}]"


@dataclass(frozen=True)
class Tally:
    """The rulings of one gate on cells of one kind."""

    rulings: Sequence[Ruling]

    @classmethod
    def of(cls, rulings: Iterable[Ruling]) -> Tally:
        """Return the tally of these."""
        return cls(tuple(rulings))

    def share(self, *outcomes: Outcome) -> Proportion:
        """Return how many ended in one of these outcomes."""
        return Proportion(sum(ruling.outcome in outcomes for ruling in self.rulings), len(self.rulings))

    def share_within(self, seconds: float, *outcomes: Outcome) -> Proportion:
        """Return how many did so in time."""
        in_time = sum(ruling.outcome in outcomes and ruling.seconds <= seconds for ruling in self.rulings)
        return Proportion(in_time, len(self.rulings))

    @property
    def median_s(self) -> float:
        """Return the median time to a verdict."""
        return median(ruling.seconds for ruling in self.rulings)

    @property
    def p95_s(self) -> float:
        """Return the time in which 95 % of the verdicts were there."""
        return quantile([ruling.seconds for ruling in self.rulings], 0.95)

    @property
    def times(self) -> str:
        """Return median and p95 seconds as text."""
        return f"{self.median_s:.2f} / {self.p95_s:.2f}" if self.rulings else ""
