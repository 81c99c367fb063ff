from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.sequential_test import decide, estimate, rules_for
from pytest_cpuaccel.measure.latency.waiting import off_cpu_share, queued_share
from tests.unit.latency import streams

FAST = rules_for(1e6, RaceConfig())
SLOW = rules_for(100e6, RaceConfig())
LIMIT = 1.05


def test_equal_sides_pass() -> None:
    heat = decide(streams.pairs(1.0, noise=0.02), LIMIT, FAST)
    assert heat.shown is Shown.BELOW
    assert heat.reason == "50 of 50 wall-clock ratios were below 1.05"


def test_a_side_slower_than_allowed_fails() -> None:
    assert decide(streams.pairs(1.10, noise=0.02), LIMIT, FAST).shown is Shown.ABOVE


def test_a_speedup_that_is_not_reached_fails() -> None:
    assert decide(streams.pairs(1 / 1.2, noise=0.02), 1 / 1.3, FAST).shown is Shown.ABOVE
    assert decide(streams.pairs(1 / 1.4, noise=0.02), 1 / 1.3, FAST).shown is Shown.BELOW


@pytest.mark.parametrize("limit", [LIMIT, 1 / 1.3])
def test_a_ratio_at_the_limit_is_said_to_be_too_slow_no_more_often_than_stated(limit: float) -> None:
    rules = replace(FAST, cap_s=1.0)
    outcomes = [decide(streams.pairs(limit, noise=0.2, seed=seed), limit, rules).shown for seed in range(100)]
    assert outcomes.count(Shown.ABOVE) <= 2
    assert outcomes.count(Shown.BELOW) <= 4
    assert outcomes.count(Shown.OPEN) >= 95


def test_a_ratio_exactly_at_the_limit_speaks_for_neither_verdict() -> None:
    heat = decide(streams.pairs(LIMIT), LIMIT, FAST)
    assert heat.shown is Shown.OPEN
    assert "did not tell the ratio 1.050 from the limit 1.05" in heat.reason


def test_no_verdict_comes_before_ten_pairs_and_a_tenth_of_a_second() -> None:
    assert len(decide(streams.pairs(2.0, call_ns=10e6), LIMIT, replace(FAST, alpha_above=0.1)).pairs) == 10
    assert decide(streams.pairs(2.0, call_ns=1e5), LIMIT, FAST).pairs[-1].elapsed_s == pytest.approx(0.1)


def test_slow_calls_may_take_thirty_seconds() -> None:
    heat = decide(streams.pairs(LIMIT, call_ns=100e6), LIMIT, SLOW)
    assert heat.pairs[-1].elapsed_s == pytest.approx(30)


def test_calls_too_slow_for_the_cap_are_inconclusive_and_say_how_many_pairs_are_missing() -> None:
    heat = decide(streams.pairs(2.0, call_ns=3e9), LIMIT, SLOW)
    assert heat.shown is Shown.OPEN
    assert heat.reason == "only 5 pairs in 30 s, and a verdict needs 12"


@pytest.mark.parametrize(("ratio", "side"), [(1.0, Shown.BELOW), (1.10, Shown.ABOVE)])
def test_cpu_time_settles_what_a_crowded_wall_clock_leaves_open(ratio: float, side: Shown) -> None:
    wall_only = replace(SLOW, cpu_arm=False)
    both = [decide(streams.crowded_pairs(ratio, seed=seed), LIMIT, SLOW).shown for seed in range(10)]
    wall = [decide(streams.crowded_pairs(ratio, seed=seed), LIMIT, wall_only).shown for seed in range(10)]
    assert set(both) <= {side, Shown.OPEN}
    assert both.count(side) >= 9
    assert wall.count(Shown.OPEN) > 5


def test_cpu_time_of_short_calls_or_several_threads_is_not_asked() -> None:
    assert not rules_for(1e6, RaceConfig()).cpu_arm
    assert not rules_for(100e6, RaceConfig(threads=2)).cpu_arm


def test_cpu_time_says_nothing_about_a_call_that_waits() -> None:
    waiting = streams.crowded_pairs(1.10, waiting=0.2)
    heat = decide(islice(waiting, 30), LIMIT, SLOW)
    assert "CPU-time" not in heat.reason


def test_cpu_time_never_says_what_the_wall_clock_contradicts() -> None:
    for seed in range(10):
        busy = decide(streams.crowded_pairs(1.0, cpu_ratio=1.2, seed=seed), LIMIT, SLOW)
        assert busy.shown is not Shown.ABOVE or busy.ratio > LIMIT
        slower = decide(streams.crowded_pairs(1.2, cpu_ratio=1.0, seed=seed), LIMIT, SLOW)
        assert slower.shown is not Shown.BELOW or slower.ratio <= LIMIT


def test_two_clocks_share_the_error_rates_of_one() -> None:
    unanimous = streams.pairs(2.0, call_ns=100e6)
    strict = replace(SLOW, min_pairs=1)
    assert len(decide(unanimous, LIMIT, strict).pairs) == 11
    assert len(decide(streams.pairs(2.0, call_ns=100e6), LIMIT, replace(strict, cpu_arm=False)).pairs) == 10


def test_an_estimate_takes_half_a_second_and_thirty_pairs() -> None:
    heat = estimate(streams.pairs(1.3, noise=0.1, call_ns=1e6))
    assert heat.shown is None
    assert len(heat.pairs) == 250
    assert heat.ratio == pytest.approx(1.3, rel=0.05)
    assert len(estimate(streams.pairs(1.3, call_ns=20e6)).pairs) == 30


def test_an_estimate_of_slow_calls_ends_after_three_seconds() -> None:
    assert len(estimate(streams.pairs(1.3, call_ns=250e6)).pairs) == 6


def test_queueing_for_a_processor_is_not_waiting() -> None:
    queued = Pair(streams.turn(4e6, cpu_ns=1e6, queued_ns=3e6), streams.turn(1e6), True, 0.0)
    assert off_cpu_share([queued]) == 0
    assert queued_share([queued]) == 0.6


def test_waiting_is_neither_working_nor_queueing() -> None:
    waiting = Pair(streams.turn(3e6, cpu_ns=1e6), streams.turn(1e6), True, 0.0)
    assert off_cpu_share([waiting]) == 0.5
    assert queued_share([waiting]) == 0
