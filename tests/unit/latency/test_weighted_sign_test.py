from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import count
from statistics import median

import pytest

from pytest_cpuaccel.measure.latency.e_values import critical
from pytest_cpuaccel.measure.latency.weighted_sign_test import WeightedSigns, weighed_high, weighed_low

ALPHA = 0.05
LIMIT = 1.05

NOISES: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda draw: draw.gauss(0, 0.05),
    "two-sided exponential": lambda draw: draw.choice((-1, 1)) * draw.expovariate(20),
    "outliers": lambda draw: draw.gauss(0, 0.5 if draw.random() < 0.2 else 0.03),
    "growing": lambda draw: draw.gauss(0, 0.01 + 0.1 * draw.random() ** 4),
}


def pairs_to_tell(distance: float, spread: float, seed: int) -> int:
    """How many ratios above the limit it takes to weigh enough."""
    draw = random.Random(seed)
    weighted = WeightedSigns()
    while weighted.log_evidence_above < -math.log(ALPHA):
        weighted = weighted.then(LIMIT * math.exp(draw.gauss(distance, spread)), LIMIT)
    return len(weighted.seen)


def signs_to_tell(distance: float, spread: float, seed: int) -> int:
    draw = random.Random(seed)
    above = 0
    for trials in count(1):
        above += draw.gauss(distance, spread) > 0
        if above >= critical(trials, ALPHA):
            return trials
    raise AssertionError


@pytest.mark.parametrize("noise", NOISES.values(), ids=list(NOISES))
def test_symmetric_noise_at_the_limit_weighs_enough_no_more_often_than_stated(
    noise: Callable[[random.Random], float],
) -> None:
    reached = 0
    for seed in range(200):
        draw, weighted, most = random.Random(seed), WeightedSigns(), 0.0
        for _ in range(60):
            weighted = weighted.then(LIMIT * math.exp(noise(draw)), LIMIT)
            most = max(most, weighted.log_evidence_above)
        reached += most >= -math.log(ALPHA)
    assert reached <= 18  # of 10 expected at most; 19 or more have probability 0.006


def test_a_distance_within_the_noise_is_told_by_fewer_pairs_than_by_signs() -> None:
    weighed = median(pairs_to_tell(0.03, 0.1, seed) for seed in range(100))
    signs = median(signs_to_tell(0.03, 0.1, seed) for seed in range(100))
    assert weighed < 0.8 * signs


def test_one_ratio_tells_little_however_far_off_it_is() -> None:
    weighted = WeightedSigns().then(1000.0, LIMIT)
    assert weighted.log_evidence_above < math.log(2)


def test_what_speaks_for_one_side_speaks_against_the_other() -> None:
    above = below = WeightedSigns()
    for distance in (0.1, 0.3, -0.2, 0.05):
        above = above.then(LIMIT * math.exp(distance), LIMIT)
        below = below.then(LIMIT * math.exp(-distance), LIMIT)
    assert above.log_evidence_above == pytest.approx(below.log_evidence_below)
    assert above.log_evidence_above > above.log_evidence_below


def test_a_ratio_exactly_at_the_limit_speaks_for_neither() -> None:
    weighted = WeightedSigns().then(LIMIT, LIMIT).then(1.2, LIMIT)
    assert weighted.log_evidence_above == WeightedSigns().then(1.2, LIMIT).log_evidence_above
    assert weighted.then(LIMIT, LIMIT).log_evidence_above == weighted.log_evidence_above


@pytest.mark.parametrize("noise", NOISES.values(), ids=list(NOISES))
@pytest.mark.parametrize("count", [15, 60, 300])
def test_the_bounds_are_the_last_limits_that_are_excluded(noise: Callable[[random.Random], float], count: int) -> None:
    draw = random.Random(count)
    ratios = [LIMIT * math.exp(noise(draw)) for _ in range(count)]

    def weighed_against(limit: float) -> WeightedSigns:
        weighted = WeightedSigns()
        for ratio in ratios:
            weighted = weighted.then(ratio, limit)
        return weighted

    low, high = weighed_low(ratios, ALPHA), weighed_high(ratios, ALPHA)
    assert low < high
    for limit in (low / 2, low / 1.001, low * 1.001, high / 1.001, high * 1.001, high * 2):
        found = weighed_against(limit)
        assert (found.log_evidence_above >= -math.log(ALPHA)) is (limit < low)
        assert (found.log_evidence_below >= -math.log(ALPHA)) is (limit > high)


def test_a_few_ratios_have_no_bounds() -> None:
    assert weighed_low([1.2] * 5, 0.005) == 0
    assert weighed_high([1.2] * 5, 0.005) == math.inf
