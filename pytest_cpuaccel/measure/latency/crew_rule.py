"""The rule of a race of environments: what the levels of processes show of a limit, by wall clock and by CPU time.

The sample are processes, not calls: an interpreter that was started anew lays out its memory anew. Processes of one
environment were seen to differ by standard deviations of up to 1.2 %, and one of about a hundred was 8.8 % off, however
many calls were timed. Each look spends a share of the error rates (Bonferroni), so looking up to four times makes none
larger.

CPU time settles what other work on the machine keeps the wall clock from settling. It never settles what the wall
clock contradicts: its bounds end at the wall clock's ratio. The two share each error rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.crew_look import FEWEST_TO_BE_ABOVE
from pytest_cpuaccel.measure.latency.levels import Levels


@dataclass(frozen=True)
class Risk:
    """The probabilities of a wrong lower end and of a wrong upper one."""

    low: float
    high: float


@dataclass(frozen=True)
class Arms:
    """The levels by each clock; ``cpu`` is None where CPU time can't stand for latency."""

    wall: Levels
    cpu: Levels | None = None

    def interval(self, risk: Risk) -> tuple[float, float]:
        """Return the limits that are not excluded, as ratios."""
        low, high = self._wall_bounds(risk)
        if self.cpu is not None:
            cpu_low, cpu_high = self.cpu.bounds(*self._each(risk))
            low = max(low, min(self.wall.log_ratio, cpu_low))
            high = min(high, max(self.wall.log_ratio, cpu_high))
        return exp(low), exp(high)

    def shown(self, limit: float, risk: Risk) -> Shown:
        """Return what is shown of a limit; above it only by 6 processes a side, or if each lies above by itself."""
        low, high = self.interval(risk)
        if high < limit:
            return Shown.BELOW
        return Shown.ABOVE if low > limit and self._suffices(limit) else Shown.OPEN

    def by_cpu(self, limit: float, risk: Risk) -> bool:
        """Tell whether the wall clock by itself leaves the limit open."""
        low, high = self._wall_bounds(risk)
        return low <= log(limit) <= high

    def _suffices(self, limit: float) -> bool:
        levels = [self.wall] if self.cpu is None else [self.wall, self.cpu]
        return self.wall.size >= FEWEST_TO_BE_ABOVE or any(arm.all_above(log(limit)) for arm in levels)

    def _wall_bounds(self, risk: Risk) -> tuple[float, float]:
        return self.wall.bounds(*self._each(risk))

    def _each(self, risk: Risk) -> tuple[float, float]:
        arms = 1 if self.cpu is None else 2
        return risk.low / arms, risk.high / arms
