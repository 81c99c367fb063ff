"""Verdicts on latencies and on baselines, from measurements alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement, RatioMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement, TooSlow
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.baseline import judge_baseline
from pytest_cpuaccel.judge.latency import judge_latency
from tests.unit.measurements import LATENCY, PERCENTILES, RACE

FIVE_PERCENT = LatencyBudget(max_slowdown=0.05)
LIMITS = LatencyBudget(p50_ns=300, p99_ns=400, min_throughput=2e7, ttft_ns=200)


def raced(shown: Shown) -> LatencyMeasurement:
    return LatencyMeasurement("eager", race=replace(RACE, shown=shown))


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [(Shown.BELOW, Outcome.PASS), (Shown.ABOVE, Outcome.FAIL), (Shown.OPEN, Outcome.INCONCLUSIVE)],
)
def test_the_side_of_the_limit_that_was_shown_is_the_verdict(shown: Shown, outcome: Outcome) -> None:
    assert judge_latency(raced(shown), FIVE_PERCENT).outcome is outcome


def test_a_ratio_is_told_with_both_numbers_and_the_reason_where_it_is_open() -> None:
    told = "0.93x the speed of eager [0.92, 0.94], p50 214 ns against 200 ns, budget at most 5% slower"
    assert judge_latency(raced(Shown.ABOVE), FIVE_PERCENT).sentence == told
    open_question = judge_latency(raced(Shown.OPEN), FIVE_PERCENT)
    assert open_question.sentence.startswith(f"{told}; 3 of 3 wall-clock ratios were above 1.05")
    assert "budget 1.50x or more" in judge_latency(raced(Shown.ABOVE), LatencyBudget(speedup=1.5)).sentence


def test_the_worst_of_the_parts_is_the_verdict_and_alone_is_told() -> None:
    verdict = judge_latency(LatencyMeasurement("eager", race=RACE, percentiles=PERCENTILES), LIMITS)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.sentence == (
        "throughput was 13953488 items/s, budget 20000000 items/s "
        "(29 of 30 drawn calls broke the budget, and so did the best moments of the run)"
    )
    kept = replace(PERCENTILES, limits={name: PERCENTILES.limits[name] for name in ("p50", "p99")})
    verdict = judge_latency(LatencyMeasurement("eager", percentiles=kept), LatencyBudget(p50_ns=300, p99_ns=400))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.sentence.startswith(
        "p99 was 330 ns, budget 400 ns (70 of 70 drawn calls kept the budget; needs 458 more blocks that all do, "
        "about 22.9 s)"
    )


def test_an_estimate_that_nobody_asked_for_is_not_judged() -> None:
    found = LatencyMeasurement("eager", race=replace(RACE, shown=None), percentiles=PERCENTILES)
    assert judge_latency(found, replace(LIMITS, min_throughput=None, p99_ns=None)).outcome is Outcome.PASS


def test_calls_that_are_too_slow_leave_it_open() -> None:
    slow = TooSlow("a ratio", 41e9, 2e9, "12 pairs of calls", 516e9, 30e9)
    verdict = judge_latency(LatencyMeasurement("eager", race_too_slow=slow), FIVE_PERCENT)
    assert (verdict.outcome, verdict.sentence) == (
        Outcome.INCONCLUSIVE,
        "one call took 41.0 s, one of eager 2.00 s; the 12 pairs of calls that a verdict on a ratio needs take 516 s, "
        "and 30.0 s are allowed",
    )


def test_the_verdict_holds_what_it_stands_on() -> None:
    assert judge_latency(LATENCY, LIMITS).measurement is LATENCY


BY_RATIO = RatioMeasurement(
    Estimate(1.5, 1.4, 1.6), Estimate(0.9, 0.88, 0.92), Estimate(0.6, 0.58, 0.62), "eager", 3e6, 2e6
)


@pytest.mark.parametrize(
    ("found", "outcome", "reason"),
    [
        (BY_RATIO, Outcome.FAIL, "; p50 3.00 ms now, 2.00 ms then"),
        (replace(BY_RATIO, confirmed=True), Outcome.FAIL, "2.00 ms then"),
        (replace(BY_RATIO, confirmed=False), Outcome.INCONCLUSIVE, "; fresh builds did not confirm it"),
        (replace(BY_RATIO, on_another_cpu=True), Outcome.INCONCLUSIVE, "; on another CPU ratios may differ by *"),
        (replace(BY_RATIO, ratio=Estimate(1.1, 1.06, 1.2)), Outcome.INCONCLUSIVE, "; from run to run ratios move by *"),
        (replace(BY_RATIO, ratio=Estimate(1.1, 1.0, 1.2)), Outcome.INCONCLUSIVE, "; the intervals are too wide to *"),
        (replace(BY_RATIO, ratio=Estimate(1.0, 0.9, 1.04)), Outcome.PASS, "2.00 ms then"),
    ],
)
def test_a_ratio_fails_only_where_nothing_else_explains_it(
    found: RatioMeasurement, outcome: Outcome, reason: str
) -> None:
    verdict = judge_baseline(BaselineMeasurement("main", "ratio", 1.05, by_ratio=found), FIVE_PERCENT)
    assert verdict.outcome is outcome
    assert reason.removesuffix("*") in verdict.sentence
    assert "by ratio, not by a race: 0.90x [0.88, 0.92] as long as eager now, 0.60x [0.58, 0.62] then" in (
        verdict.sentence
    )


def test_what_changed_since_a_baseline_is_told() -> None:
    found = BaselineMeasurement("main", "race", 1.05, ("torch 1 -> 2", "the model"), race=RACE)
    verdict = judge_baseline(found, FIVE_PERCENT)
    assert (verdict.outcome, verdict.sentence) == (
        Outcome.FAIL,
        '1.07x as long as baseline "main" [1.06, 1.09], allowed 1.05x, p50 214 ns against 200 ns; '
        "changed since: torch 1 -> 2, the model",
    )


def test_what_could_not_be_raced_is_open_and_what_is_unchanged_passes() -> None:
    refused = BaselineMeasurement("main", "race", 1.05, obstacle="does not run here: twin: no")
    verdict = judge_baseline(refused, FIVE_PERCENT)
    assert (verdict.outcome, verdict.sentence) == (
        Outcome.INCONCLUSIVE,
        'the artifact of baseline "main" does not run here: twin: no',
    )
    verdict = judge_baseline(BaselineMeasurement("main", "unchanged", 1.05), FIVE_PERCENT)
    assert (verdict.outcome, verdict.sentence) == (
        Outcome.PASS,
        'artifact, versions and threads are those of baseline "main", so there is nothing to race',
    )
