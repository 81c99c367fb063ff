from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pytest_cpuaccel.core.measurement.latency import SelfCheck
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import critical, median_interval
from pytest_cpuaccel.measure.latency.self_check import resolve, smallest_slowdown
from pytest_cpuaccel.measure.latency.side import Sides, local_sides
from pytest_cpuaccel.report.facts.self_check import flat
from tests.unit.latency.clock import Clock

Build = Callable[[float], Sides]


@pytest.fixture
def build(clock: Clock) -> Build:
    """Return sides of which one takes this many times the other's 1 ms, give or take 2 %."""

    def durations(ns: float, seed: int) -> Iterator[int]:
        draw = random.Random(seed)
        while True:
            yield round(ns * draw.lognormvariate(0, 0.02))

    return lambda ratio: local_sides(clock.call(durations(ratio * 1e6, 1)), clock.call(durations(1e6, 2)))


def found(low: float, high: float) -> SelfCheck:
    return SelfCheck(math.sqrt(low * high), (low, high), smallest_slowdown((low, high)), 100, 1.0, 1e6)


@pytest.mark.parametrize("bias", [0.99, 1.0, 1.02])
def test_a_slowdown_just_above_it_is_told_and_one_just_below_it_is_not(bias: float) -> None:
    """Told, and the limit excluded for equal copies, by the very sign tests that make the verdicts."""
    ratios = bias * np.exp(np.random.default_rng(0).normal(0, 0.02, 400))
    smallest = smallest_slowdown(median_interval(ratios.tolist(), 0.005))
    needed = critical(len(ratios), 0.005)

    def settles(slowdown: float) -> bool:
        told = (ratios * (1 + slowdown) > 1).sum() >= needed
        excluded = (ratios < 1 + slowdown).sum() >= needed
        return bool(told and excluded)

    assert settles(smallest + 1e-9)
    assert not settles(smallest - 1e-9)


def test_the_longer_equal_copies_race_the_less_can_be_told(build: Build) -> None:
    short, long = (resolve(build(1.0), RaceConfig(), seconds) for seconds in (0.3, 3.0))
    assert long.slowdown < short.slowdown < 0.05
    assert long.seconds >= 3.0
    assert long.shown(0.05) is Shown.BELOW


def test_a_race_ends_when_enough_is_resolved(build: Build) -> None:
    result = resolve(build(1.0), RaceConfig(), 60.0, enough=0.01)
    assert result.slowdown <= 0.01
    assert result.seconds < 10


def test_copies_that_differ_by_more_than_allowed_fail(build: Build) -> None:
    result = resolve(build(1.10), RaceConfig(), 1.0)
    assert result.shown(0.05) is Shown.ABOVE
    assert result.slowdown == pytest.approx(0.10, abs=0.02)


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [
        (0.99, 1.01, Shown.BELOW),
        (1.06, 1.08, Shown.ABOVE),
        (0.90, 0.94, Shown.ABOVE),
        (0.94, 1.06, Shown.OPEN),
        (0.0, math.inf, Shown.OPEN),
    ],
)
def test_either_copy_may_be_the_slower(low: float, high: float, side: Shown) -> None:
    assert found(low, high).shown(0.05) is side


def test_too_few_pairs_resolve_nothing() -> None:
    interval = (0.0, math.inf)
    result = SelfCheck(1.0, interval, smallest_slowdown(interval), 3, 30.0, 1e10)
    assert result.slowdown == math.inf
    assert "aa_slowdown" not in flat(result)
