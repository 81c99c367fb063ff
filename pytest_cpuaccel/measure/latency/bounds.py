"""Bounds of a ratio: the limits that the tests of a race exclude, so that they never say other than these do.

With ``cpu_arm`` two tests share each alpha: signs of the wall-clock ratios, and CPU-time ratios weighed. CPU time may
settle what the wall clock leaves open, never what it contradicts: it excludes limits on the far side of the median
wall-clock ratio alone. So the median lies within the bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pytest_cpuaccel.measure.latency.e_values import fewest_trials, median_high, median_low
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.waiting import off_cpu_share
from pytest_cpuaccel.measure.latency.weighted_sign_test import weighed_high, weighed_low

MOST_WAITING = 0.05
"""Calls that wait of their own accord for more than this share are not measured by their CPU time."""


def lower_bound(pairs: Sequence[Pair], alpha: float, *, cpu_arm: bool) -> float:
    """Return a lower bound of the true ratio, wrong with probability ``alpha`` at any time; 0 for few pairs."""
    ratios, each = [pair.ratio for pair in pairs], share(alpha, cpu_arm=cpu_arm)
    by_wall = median_low(ratios, each)
    if not cpu_arm or off_cpu_share(pairs) >= MOST_WAITING:
        return by_wall
    return max(by_wall, min(median(ratios), weighed_low([pair.cpu_ratio for pair in pairs], each)))


def upper_bound(pairs: Sequence[Pair], alpha: float, *, cpu_arm: bool) -> float:
    """Return an upper bound of the true ratio, wrong with probability ``alpha`` at any time; infinite for few pairs."""
    ratios, each = [pair.ratio for pair in pairs], share(alpha, cpu_arm=cpu_arm)
    by_wall = median_high(ratios, each)
    if not cpu_arm or off_cpu_share(pairs) >= MOST_WAITING:
        return by_wall
    return min(by_wall, max(median(ratios), weighed_high([pair.cpu_ratio for pair in pairs], each)))


def share(alpha: float, *, cpu_arm: bool) -> float:
    """Return what each of the tests has of an alpha."""
    return alpha / 2 if cpu_arm else alpha


def fewest_pairs(alpha: float, *, cpu_arm: bool) -> int:
    """Return how many pairs it takes for a bound."""
    return fewest_trials(share(alpha, cpu_arm=cpu_arm))
