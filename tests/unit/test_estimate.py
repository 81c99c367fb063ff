"""Ratios with their intervals: how one stands to another, and to a limit."""

from __future__ import annotations

from math import inf

import pytest

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.verdict import Outcome


def test_a_ratio_of_ratios_has_room_for_both_intervals() -> None:
    ratio = Estimate(1.2, 1.1, 1.3).over(Estimate(0.6, 0.5, 0.8))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 1.375, 2.6))


def test_what_is_not_known_stays_open() -> None:
    assert Estimate(1.2).over(Estimate(0.6, 0.5, 0.8)) == Estimate(2.0, 0.0, inf)
    assert Estimate(1.2, 1.1, 1.3).over(Estimate(0.6)) == Estimate(2.0, 0.0, inf)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(1.06, 1.2, Outcome.FAIL), (0.9, 1.04, Outcome.PASS), (1.04, 1.06, Outcome.INCONCLUSIVE)],
)
def test_a_limit_is_passed_or_broken_by_the_whole_interval(low: float, high: float, outcome: Outcome) -> None:
    assert Estimate(1.05, low, high).held_to(1.05) is outcome


def test_facts_without_a_ratio_hold_no_estimate() -> None:
    assert Estimate.among({"p50_ns": 1.0}) is None
    assert Estimate.among({"ratio": "damaged"}) is None
    assert Estimate.among({"latency.ratio": 0.5}, "latency.") == Estimate(0.5)
