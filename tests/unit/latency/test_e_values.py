from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_cpuaccel.measure.latency.e_values import (
    RATES,
    critical,
    log_evidence,
    log_evidence_of_rarity,
    median_interval,
)

NEVER = 10**9


def trials_to_decide(rate: float, streams: int = 300, longest: int = 2000) -> float:
    """Median number of trials until the evidence reaches 1/0.005."""
    needed = np.array([critical(trials, 0.005) for trials in range(1, longest + 1)])
    successes = np.cumsum(np.random.default_rng(0).random((streams, longest)) < rate, axis=1)
    decided = successes >= needed
    return float(np.median(np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, NEVER)))


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (7, 10), (40, 41), (3, 60)])
def test_evidence_is_the_mean_over_rates_of_the_likelihood_ratio(successes: int, trials: int) -> None:
    failures = trials - successes
    expected = sum((2 * p) ** successes * (2 * (1 - p)) ** failures for p in RATES) / len(RATES)
    assert math.exp(log_evidence(successes, trials)) == pytest.approx(expected)


@pytest.mark.parametrize("null", [0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("evidence", [log_evidence, log_evidence_of_rarity])
def test_a_fair_trial_changes_the_evidence_by_nothing_on_average(evidence, null: float) -> None:
    for successes, trials in [(0, 0), (5, 5), (3, 8)]:
        after_success = math.exp(evidence(successes + 1, trials + 1, null))
        after_failure = math.exp(evidence(successes, trials + 1, null))
        expected = null * after_success + (1 - null) * after_failure
        assert expected == pytest.approx(math.exp(evidence(successes, trials, null)))


def test_ten_equal_signs_decide_at_half_a_percent_and_nine_do_not() -> None:
    assert critical(10, 0.005) == 10
    assert critical(9, 0.005) == 10


@pytest.mark.parametrize(("rate", "trials"), [(1.0, 10), (0.9, 15), (0.8, 32), (0.7, 68), (0.6, 321)])
def test_the_weaker_the_effect_the_more_pairs_it_takes(rate: float, trials: int) -> None:
    assert trials_to_decide(rate) == pytest.approx(trials, rel=0.15)


@pytest.mark.parametrize("alpha", [0.005, 0.05])
def test_fair_signs_watched_after_every_pair_raise_no_more_false_alarms_than_stated(alpha: float) -> None:
    streams, longest = 4000, 1000
    needed = np.array([critical(trials, alpha) for trials in range(1, longest + 1)])
    successes = np.cumsum(np.random.default_rng(1).random((streams, longest)) < 0.5, axis=1)
    false_alarms = (successes >= needed).any(axis=1).mean()
    assert 0 < false_alarms <= alpha + 3 * math.sqrt(alpha / streams)


def test_a_percentile_that_just_fails_to_hold_passes_no_more_often_than_stated() -> None:
    streams, longest, alpha, level = 2000, 300, 0.05, 0.9
    needed = np.array(
        [
            next((s for s in range(n + 1) if log_evidence_of_rarity(s, n, level) >= -math.log(alpha)), NEVER)
            for n in range(1, longest + 1)
        ]
    )
    held = np.cumsum(np.random.default_rng(2).random((streams, longest)) < level, axis=1)
    assert 0 < (held >= needed).any(axis=1).mean() <= alpha


def test_a_very_long_run_does_not_overflow() -> None:
    assert math.isfinite(log_evidence(10**6, 10**6))
    assert math.isfinite(log_evidence(0, 10**6))


def test_p99_takes_at_least_459_clean_blocks_and_fits_in_half_a_minute_of_them() -> None:
    needed = next(n for n in range(1, 1000) if log_evidence_of_rarity(n, n, 0.99) >= math.log(100))
    assert 459 <= needed < 600


def test_the_interval_leaves_out_the_median_no_more_often_than_stated_however_often_it_is_read() -> None:
    random = np.random.default_rng(3)
    streams, longest, alpha = 300, 80, 0.05
    missed = 0
    for _ in range(streams):
        ratios = np.exp(random.standard_t(2, longest)).tolist()
        intervals = (median_interval(ratios[:count], alpha) for count in range(1, longest + 1))
        missed += any(not low <= 1 <= high for low, high in intervals)
    assert missed / streams <= 2 * alpha


def test_the_interval_narrows_as_pairs_come_in() -> None:
    ratios = np.random.default_rng(4).normal(1, 0.1, 2000).tolist()
    assert median_interval(ratios[:9], 0.005) == (0, math.inf)
    widths = [np.ptp(median_interval(ratios[:count], 0.005)) for count in (20, 100, 2000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.03
