"""The latency verdict on a workload: its ratio to another backend, its percentiles, throughput and tokens."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement, LimitMeasurement, RaceMeasurement, TooSlow
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.noise import with_noise
from pytest_cpuaccel.judge.partial_verdict import PartialVerdict, verdict
from pytest_cpuaccel.judge.ratio_limit import ratio_limit

_LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

_OUTCOMES = {Shown.ABOVE: Outcome.FAIL, Shown.BELOW: Outcome.PASS, Shown.OPEN: Outcome.INCONCLUSIVE}


def judge_latency(measurement: LatencyMeasurement, budget: LatencyBudget) -> Verdict:
    """Return the verdict on a workload's ratio and limits: the worst of its parts, in view of the machine's noise."""
    parts = [*_of_ratio(measurement, budget), *_of_limits(measurement, budget)] or [_unlimited(measurement, budget)]
    return with_noise(verdict("latency", parts, measurement), measurement, budget)


def outcome_of(shown: Shown) -> Outcome:
    """Return the outcome where the limit is a maximum: ABOVE is FAIL."""
    return _OUTCOMES[shown]


def limits_of(budget: LatencyBudget, items: int | None = None) -> dict[str, Limit]:
    """Return the limits by name, none where the budget sets none; a call answers ``items``."""
    limits = {name: Limit(ns, level) for name, level in _LEVELS.items() if (ns := getattr(budget, f"{name}_ns"))}
    if budget.min_throughput is not None and items is not None:
        limits["throughput"] = Limit(items / budget.min_throughput * 1e9, items=items)
    if budget.ttft_ns is not None:
        limits["ttft"] = Limit(budget.ttft_ns, quantity="ttft")
    if budget.tpot_ns is not None:
        limits["tpot"] = Limit(budget.tpot_ns, quantity="tpot")
    return limits


def judge_limit(name: str, limit: Limit, found: LimitMeasurement) -> PartialVerdict:
    """Return the answer to one limit, with what was found and what is allowed."""
    outcome = outcome_of(found.shown or Shown.OPEN)
    sentence = f"{name} was {limit.show(found.found_ns)}, budget {limit.text} ({_reason(name, limit, found)})"
    return PartialVerdict(outcome, sentence)


def said_of_slow_calls(found: TooSlow, versus: str) -> str:
    """Return the sentence on calls that are too slow to be measured."""
    against = f", one of {versus} {format_duration(found.reference_ns)}" if found.reference_ns else ""
    return (
        f"one call took {format_duration(found.call_ns)}{against}; the {found.count} that a verdict on {found.what} "
        f"needs take {format_duration(found.least_ns)}, and {format_duration(found.allowed_ns)} are allowed"
    )


def _of_ratio(measurement: LatencyMeasurement, budget: LatencyBudget) -> Iterator[PartialVerdict]:
    if ratio_limit(budget) is None:
        return
    if measurement.race is None:
        if measurement.race_too_slow is not None:
            yield PartialVerdict(Outcome.INCONCLUSIVE, said_of_slow_calls(measurement.race_too_slow, budget.vs))
        return
    outcome = outcome_of(measurement.race.shown or Shown.OPEN)
    yield PartialVerdict(outcome, _ratio_sentence(measurement.race, outcome, budget))


def _unlimited(measurement: LatencyMeasurement, budget: LatencyBudget) -> PartialVerdict:
    """The answer to a budget without limits: what was found."""
    if measurement.race is not None:
        return PartialVerdict(Outcome.PASS, f"{_speed(measurement.race, budget)}, no budget")
    slow = measurement.race_too_slow
    return PartialVerdict(Outcome.INCONCLUSIVE, said_of_slow_calls(slow, budget.vs) if slow else "nothing was timed")


def _ratio_sentence(race: RaceMeasurement, outcome: Outcome, budget: LatencyBudget) -> str:
    allowed = (
        f"budget {budget.speedup:.2f}x or more"
        if budget.speedup is not None
        else f"budget at most {100 * (budget.max_slowdown or 0):.3g}% slower"
    )
    reason = f"; {race.reason}" if outcome is Outcome.INCONCLUSIVE else ""
    return f"{_speed(race, budget)}, {allowed}{reason}"


def _speed(race: RaceMeasurement, budget: LatencyBudget) -> str:
    """What a race found, with both medians."""
    limit = ratio_limit(budget)
    interval = race.estimate.inverse.interval(apart_from=None if limit is None else 1 / limit, pairs=race.pairs)
    return (
        f"{race.speedup:.2f}x the speed of {budget.vs} {interval}, "
        f"p50 {format_duration(race.p50_ns)} against {format_duration(race.reference_p50_ns)}"
    )


def _of_limits(measurement: LatencyMeasurement, budget: LatencyBudget) -> Iterator[PartialVerdict]:
    if measurement.limits_too_slow is not None:
        yield PartialVerdict(Outcome.INCONCLUSIVE, said_of_slow_calls(measurement.limits_too_slow, budget.vs))
    if measurement.percentiles is None:
        return
    found = measurement.percentiles.limits
    throughput = found.get("throughput")
    limits = limits_of(budget, throughput.items if throughput else None)
    for name, limit in limits.items():
        yield judge_limit(name, limit, found[name])


def _reason(name: str, limit: Limit, found: LimitMeasurement) -> str:
    broken = found.blocks - found.held
    if found.shown is Shown.BELOW:
        return f"{found.held} of {found.blocks} drawn calls kept the budget"
    if found.shown is Shown.ABOVE:
        return f"{broken} of {found.blocks} drawn calls broke the budget, and so did the best moments of the run"
    if found.held > found.level * found.blocks:
        return f"{found.held} of {found.blocks} drawn calls kept the budget{_wanting(found)}"
    return f"{broken} of {found.blocks} drawn calls broke the budget{_excuse(name, limit, found)}{_wanting(found)}"


def _wanting(found: LimitMeasurement) -> str:
    if found.more_blocks is None or found.block_s is None:
        return ""
    needed = format_duration(found.more_blocks * found.block_s * 1e9)
    return f"; needs {found.more_blocks} more blocks that all do, about {needed}"


def _excuse(name: str, limit: Limit, found: LimitMeasurement) -> str:
    """What speaks against blaming the call; "" where more blocks could blame it."""
    if found.more_blocks is not None or found.best_ns is None or found.probe_slowdown is None:
        return ""
    if found.best_ns <= limit.ns:
        return f", but in its best moments {name} was {limit.show(found.best_ns)}"
    percentile = f"p{100 * found.level:.0f} of a probe was {found.probe_slowdown:.2f} times its best"
    return f", but the machine was not itself: {percentile}"
