"""How long a workload took against a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.latency import PercentileMeasurement, RaceMeasurement, SelfCheck

How = Literal["race", "ratio", "unchanged"]
"""What a comparison stands on: a race against the saved artifact, two ratios, or that there is nothing to race."""


@dataclass(frozen=True)
class RatioMeasurement:
    """A ratio to another backend, ``versus``, today and in the baseline; ``ratio`` is the one over the other.

    ``p50_ns`` and ``then_p50_ns`` are the times behind them; None where they can't be compared. ``confirmed`` tells
    whether fresh builds were slower than allowed too, None where that was not asked.
    """

    ratio: Estimate
    now: Estimate
    then: Estimate
    versus: str
    p50_ns: float | None = None
    then_p50_ns: float | None = None
    on_another_cpu: bool = False
    confirmed: bool | None = None


@dataclass(frozen=True)
class BaselineMeasurement:
    """A workload held to the baseline ``name``, of which it may take ``limit`` times as long.

    ``obstacle`` says why a race could not be held. ``changes`` are what changed since, other than the artifact, that
    may make figures differ. ``self_check`` was made after the limit was broken, or ``no_self_check`` says why not.
    """

    name: str
    how: How
    limit: float
    changes: tuple[str, ...] = ()
    race: RaceMeasurement | None = None
    by_ratio: RatioMeasurement | None = None
    obstacle: str = ""
    self_check: SelfCheck | None = None
    no_self_check: str = ""

    @property
    def percentiles(self) -> PercentileMeasurement | None:
        """None: a baseline has no limits for them."""
        return None

    @property
    def p50_ns(self) -> float | None:
        """The median time of a call, where it was raced."""
        return None if self.race is None else self.race.p50_ns

    @property
    def ratio(self) -> float | None:
        """Today's latency over that of the baseline."""
        if self.by_ratio is not None:
            return self.by_ratio.ratio.value
        return None if self.race is None else self.race.ratio
