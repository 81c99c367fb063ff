"""An A/A check: the smallest slowdown that a machine can tell, found by racing equal copies."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from statistics import median

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.latency import SelfCheck
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import median_interval
from pytest_cpuaccel.measure.latency.pair import Pair, take_pairs
from pytest_cpuaccel.measure.latency.side import Sides, warm_up_both
from pytest_cpuaccel.measure.latency.turn import burst_for
from pytest_cpuaccel.measure.latency.undisturbed import attended, no_collection

FINE = 0.01
"""Separate builds of one model differ by more than this, so nothing is gained by resolving less."""


def smallest_slowdown(interval: tuple[float, float]) -> float:
    """Return the smallest slowdown that equal copies with this interval tell from none.

    With the ratio 1 of equal copies, a bias of the machine between them counts as unresolved too.
    """
    return Estimate(1.0, *interval).smallest_slowdown


def resolve(sides: Sides, config: RaceConfig, cap_s: float, enough: float = 0.0) -> SelfCheck:
    """Race equal copies for ``cap_s`` seconds, or until a slowdown of ``enough`` is resolved."""
    with no_collection():
        call_ns = warm_up_both(sides, config.warmup_cap_s)
        pairs = attended(take_pairs(sides, burst_for(call_ns), config.seed), "pairs of equal copies", config.progress)
        taken = list(_until(pairs, config.alpha_above, cap_s, enough))
    ratios = [pair.ratio for pair in taken]
    interval = median_interval(ratios, config.alpha_above)
    return SelfCheck(median(ratios), interval, smallest_slowdown(interval), len(taken), taken[-1].elapsed_s, call_ns)


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
