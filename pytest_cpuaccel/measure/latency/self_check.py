"""Resolution: the smallest slowdown that a machine can tell, found by racing equal copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from statistics import median

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import median_interval
from pytest_cpuaccel.measure.latency.pair import Pair, Sides, take_pairs
from pytest_cpuaccel.measure.latency.turn import burst_for
from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection
from pytest_cpuaccel.measure.latency.warmup import warm_up_both

FINE = 0.01
"""Separate builds of one model differ by more than this, so nothing is gained by resolving less."""


@dataclass(frozen=True)
class Resolution:
    """What a race of two equal copies found: an A/A check.

    ``interval`` holds the median ratio with probability ``1 - 2 alpha_fail``, whenever the race stops.
    """

    ratio: float
    interval: tuple[float, float]
    pairs: int
    seconds: float
    call_ns: float

    @property
    def slowdown(self) -> float:
        """The smallest slowdown that could be told in these seconds, a fraction; infinite after too few pairs."""
        return smallest_slowdown(self.interval)

    def outcome(self, allowed: float) -> Outcome:
        """Return FAIL where equal copies were shown to differ by more than a fraction, PASS by less."""
        low, high = self.interval
        if low > 1 + allowed or high < 1 / (1 + allowed):
            return Outcome.FAIL
        return Outcome.PASS if self.slowdown <= allowed else Outcome.INCONCLUSIVE

    def facts(self) -> dict[str, Scalar]:
        """Return the numbers as flat scalars; what could not be measured is left out."""
        facts: dict[str, Scalar] = {"aa_ratio": self.ratio, "aa_pairs": self.pairs, "aa_seconds": self.seconds}
        return facts if self.slowdown == inf else facts | {"aa_slowdown": self.slowdown}


def smallest_slowdown(interval: tuple[float, float], ratio: float = 1.0) -> float:
    """Return the smallest slowdown that a race could tell from none: ``max(high / ratio, ratio / low) - 1``.

    ``interval`` is the anytime interval ``[low, high]`` of the median ratio (``evidence.median_interval``): the
    limits that neither sign test rejects. Were one side slower by a factor 1 + s, every ratio and both ends would grow
    by that factor, so a slowdown is told from none once ``low (1 + s) > 1``; and one of s is excluded once ``high < 1
    + s``. With the ratio 1 of equal copies, a bias of the machine between them counts as unresolved too.
    """
    low, high = interval
    return max(high / ratio, ratio / low) - 1 if low else inf


def resolve(sides: Sides, config: RaceConfig, cap_s: float, enough: float = 0.0) -> Resolution:
    """Race equal copies for ``cap_s`` seconds, or until a slowdown of ``enough`` is resolved."""
    with no_collection():
        call_ns = warm_up_both(sides, config.warmup_cap_s)
        pairs = attended(take_pairs(sides, burst_for(call_ns), config.seed), "pairs of equal copies", config.progress)
        taken = list(_until(pairs, config.alpha_fail, cap_s, enough))
    ratios = [pair.ratio for pair in taken]
    return Resolution(
        median(ratios), median_interval(ratios, config.alpha_fail), len(taken), taken[-1].elapsed_s, call_ns
    )


def _until(pairs: Iterator[Pair], alpha: float, cap_s: float, enough: float) -> Iterator[Pair]:
    """The interval is looked at after every tenth part more pairs: sorting thousands would empty the caches."""
    ratios: list[float] = []
    due = 1
    for pair in pairs:
        yield pair
        ratios.append(pair.ratio)
        if pair.elapsed_s >= cap_s:
            return
        if len(ratios) >= due:
            due = ceil(1.1 * len(ratios))
            if smallest_slowdown(median_interval(ratios, alpha)) <= enough:
                return
