"""The interval of a race and its verdict say the same, for it is made of the tests that decided."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.race import confirm, interval_of, joint_interval, sequential_rules
from pytest_cpuaccel.measure.latency.sequential_test import decide, estimate
from tests.unit.latency import streams

LIMITS = (1.05, 1 / 1.3)
CHANCES = (1, *(pytest.param(count, marks=pytest.mark.thorough) for count in (2, 4)), 16)
"""Of a wrong FAIL in one test: its budgets, times its workloads."""


@dataclass(frozen=True)
class Found:
    """What one simulated race found."""

    shown: Shown | None
    ratio: float
    low: float
    high: float


def raced(stream: Callable[[int], Iterator[Pair]], call_ns: float, limit: float, config: RaceConfig) -> Found:
    """Race as :func:`race` does, on pairs of a stream."""
    heat = decide(stream(config.seed), limit, sequential_rules(call_ns, config))
    low, high = interval_of(heat, config)
    if heat.shown is Shown.ABOVE:
        second = decide(stream(config.seed + 10**6), limit, sequential_rules(call_ns, config, repeats=True))
        low, high = joint_interval(heat, second, config)
        heat = confirm(heat, second)
    return Found(heat.shown, heat.ratio, low, high)


def short_calls(ratio: float, noise: float) -> Callable[[int], Iterator[Pair]]:
    return lambda seed: streams.pairs(ratio, noise=noise, call_ns=1e6, seed=seed)


def long_calls(ratio: float, _: float) -> Callable[[int], Iterator[Pair]]:
    return lambda seed: streams.crowded_pairs(ratio, seed=seed)


def waiting_calls(ratio: float, _: float) -> Callable[[int], Iterator[Pair]]:
    return lambda seed: streams.crowded_pairs(ratio, waiting=0.1, seed=seed)


def clocks_that_differ(ratio: float, _: float) -> Callable[[int], Iterator[Pair]]:
    return lambda seed: streams.crowded_pairs(ratio, cpu_ratio=ratio**2, seed=seed)


KINDS = {"short": (short_calls, 1e6), "long": (long_calls, 1e8), "waiting": (waiting_calls, 1e8)}


@pytest.mark.parametrize("chances", CHANCES)
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", [*KINDS, "clocks that differ"])
def test_no_verdict_contradicts_its_interval(kind: str, limit: float, chances: int) -> None:
    make, call_ns = KINDS.get(kind, (clocks_that_differ, 1e8))
    draw = random.Random(f"{kind} {limit} {chances}")
    seen = set()
    for seed in range(60):
        config = RaceConfig(alpha_above=0.005 / chances, cap_s=0.6, long_cap_s=10.0, seed=seed)
        stream = make(limit * draw.choice((0.5, 0.9, 0.97, 1.0, 1.03, 1.1, 2.0)), draw.choice((0.0, 0.02, 0.1)))
        found = raced(stream, call_ns, limit, config)
        seen.add(found.shown)
        assert found.low <= found.ratio <= found.high
        if found.shown is Shown.BELOW:
            assert 0 < found.low < found.high < limit or found.low == found.high < limit
        elif found.shown is Shown.ABOVE:
            assert limit < found.low <= found.high < math.inf
        else:
            assert found.low <= limit <= found.high
    assert seen == {Shown.BELOW, Shown.ABOVE, Shown.OPEN}


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_leaves_out_the_true_ratio_no_more_often_than_stated(kind: str) -> None:
    make, call_ns = KINDS[kind]
    loose = {"alpha_above": 0.05, "alpha_below": 0.1, "cap_s": 0.3, "long_cap_s": 6.0}
    missed = wrong = 0
    for seed in range(200):
        found = raced(make(1.05, 0.1), call_ns, 1.05, RaceConfig(seed=seed, **loose))
        missed += not found.low <= 1.05 <= found.high
        wrong += found.shown is Shown.ABOVE
    assert missed <= 0.2 * 200
    assert wrong <= 16  # of 10 expected at most; 17 or more have probability 0.03, had every alpha been spent


def test_an_estimate_has_an_interval_of_the_same_kind() -> None:
    heat = estimate(streams.crowded_pairs(1.3, seed=1), cpu_arm=True)
    config = RaceConfig()
    low, high = interval_of(heat, config)
    assert 0 < low <= heat.ratio <= high < math.inf
    assert interval_of(estimate(streams.pairs(1.3, call_ns=1e9)), config) == (0, math.inf)
