"""Ratios with their intervals: how one stands to another, and to a limit."""

from __future__ import annotations

from math import inf

import pytest

from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.report.facts.race import read


def test_a_ratio_of_ratios_has_room_for_both_intervals() -> None:
    ratio = Estimate(1.2, 1.1, 1.3).over(Estimate(0.6, 0.5, 0.8))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 1.375, 2.6))


def test_what_is_not_known_stays_open() -> None:
    assert Estimate(1.2).over(Estimate(0.6, 0.5, 0.8)) == Estimate(2.0, 0.0, inf)
    assert Estimate(1.2, 1.1, 1.3).over(Estimate(0.6)) == Estimate(2.0, 0.0, inf)


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [(1.06, 1.2, Shown.ABOVE), (0.9, 1.04, Shown.BELOW), (1.04, 1.06, Shown.OPEN)],
)
def test_a_limit_is_passed_or_broken_by_the_whole_interval(low: float, high: float, side: Shown) -> None:
    assert Estimate(1.05, low, high).side_of(1.05) is side


def test_an_interval_is_shown_on_its_side_of_the_limit() -> None:
    assert Estimate(1.02, 0.98, 1.04999).interval() == "[0.98, 1.05]"
    assert Estimate(1.02, 0.98, 1.0496).interval(apart_from=1.05) == "[0.9800, 1.0496]"
    assert Estimate(1.2, 1.1, 1.3).interval(apart_from=1.05) == "[1.10, 1.30]"


@pytest.mark.parametrize("estimate", [Estimate(1.2), Estimate(1.2, 1.1), Estimate(1.2, 0.0, 1.3)])
def test_an_interval_with_an_open_end_is_told_in_words(estimate: Estimate) -> None:
    assert str(estimate) == "1.20x (no interval yet)"
    assert estimate.inverse.interval(pairs=6) == "(no interval yet: 6 pairs)"


def test_the_other_way_round_both_ends_change_places() -> None:
    found = Estimate(0.8, 0.5, 1.25).inverse
    assert (found.value, found.low, found.high) == pytest.approx((1.25, 0.8, 2.0))


def test_facts_without_a_ratio_hold_no_estimate() -> None:
    assert read({"p50_ns": 1.0}) is None
    assert read({"ratio": "damaged"}) is None
    found = read({"ratio": 0.5})
    assert found is not None
    assert found.estimate == Estimate(0.5)
