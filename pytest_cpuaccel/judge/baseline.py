"""The verdict on a workload against a baseline: by a race with its artifact, or by two ratios."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.measurement.baseline import BaselineMeasurement, RatioMeasurement
from pytest_cpuaccel.core.measurement.latency import RaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.latency import outcome_of
from pytest_cpuaccel.judge.noise import with_noise

DRIFT = 0.15
"""A comparison by ratio fails only when it is above its limit by more than this share: with equal artifacts, ratios to
eager moved by up to 12 % from one run to the next, much further than the interval that either run gave them."""


def judge_baseline(measurement: BaselineMeasurement, budget: LatencyBudget) -> Verdict:
    """Return the verdict on what a workload takes over what it took, which ``max_slowdown`` limits."""
    verdict = _judged(measurement, 1 + (budget.max_slowdown or 0.0))
    if measurement.changes:
        verdict = replace(verdict, sentence=f"{verdict.sentence}; changed since: {', '.join(measurement.changes)}")
    return with_noise(verdict, measurement, budget)


def _judged(measurement: BaselineMeasurement, limit: float) -> Verdict:
    outcome, sentence = Outcome.INCONCLUSIVE, f'the artifact of baseline "{measurement.name}" {measurement.obstacle}'
    if measurement.how == "unchanged":
        found = f'artifact, versions and threads are those of baseline "{measurement.name}"'
        outcome, sentence = Outcome.PASS, f"{found}, so there is nothing to race"
    elif measurement.race is not None:
        outcome, sentence = _by_race(measurement.race, measurement.name, limit)
    elif measurement.by_ratio is not None:
        outcome, sentence = _by_ratio(measurement.by_ratio, measurement.name, limit)
    return Verdict("baseline", outcome, sentence, measurement=measurement)


def _by_race(race: RaceMeasurement, name: str, limit: float) -> tuple[Outcome, str]:
    times = f"p50 {format_duration(race.p50_ns)} against {format_duration(race.reference_p50_ns)}"
    found = f"{_as_long(race.estimate, name, limit)}, {times}"
    outcome = outcome_of(race.shown or Shown.OPEN)
    return outcome, f"{found}; {race.reason}" if outcome is Outcome.INCONCLUSIVE else found


def _by_ratio(found: RatioMeasurement, name: str, limit: float) -> tuple[Outcome, str]:
    """The answer by the intervals of both ratios. A FAIL is to be confirmed by fresh builds."""
    outcome, reason = outcome_of(found.ratio.side_of(limit)), ""
    if outcome is not Outcome.PASS and (reason := _doubt(found, limit)):
        outcome = Outcome.INCONCLUSIVE
    ratios = f"{found.now} as long as {found.versus} now, {found.then} then"
    return outcome, f"{_as_long(found.ratio, name, limit)}, by ratio, not by a race: {ratios}{_times(found)}{reason}"


def _doubt(found: RatioMeasurement, limit: float) -> str:
    """Why a ratio that is not within the limit proves nothing; "" where it does."""
    if found.ratio.low <= limit:
        return "; the intervals are too wide to tell"
    if found.on_another_cpu:
        return "; on another CPU ratios may differ by themselves"
    if found.ratio.low <= limit * (1 + DRIFT):
        return f"; from run to run ratios move by up to {100 * DRIFT:.0f}% by themselves"
    return "; fresh builds did not confirm it" if found.confirmed is False else ""


def _times(found: RatioMeasurement) -> str:
    """Both times, where they can be compared."""
    if not found.p50_ns or not found.then_p50_ns:
        return ""
    return f"; p50 {format_duration(found.p50_ns)} now, {format_duration(found.then_p50_ns)} then"


def _as_long(ratio: Estimate, name: str, limit: float) -> str:
    """A ratio to the baseline as a clause, with what is allowed."""
    return f'{ratio.value:.2f}x as long as baseline "{name}" {ratio.interval(limit)}, allowed {limit:.4g}x'
