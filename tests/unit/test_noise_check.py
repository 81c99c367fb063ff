"""What a verdict says of the machine."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.errors import BuildError, BusyError
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement, PercentileMeasurement, SelfCheck
from pytest_cpuaccel.core.measurement.strain import Strain
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.self_check import self_checked
from pytest_cpuaccel.evaluation.threads import check_threads
from pytest_cpuaccel.judge.noise import with_noise
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.self_check import smallest_slowdown
from pytest_cpuaccel.measure.latency.side import LocalSide, Sides
from pytest_cpuaccel.report.facts.latency import flat
from tests.unit.measurements import RACE

NOTHING: Any = None
FIVE_PERCENT = LatencyBudget(max_slowdown=0.05)


def context(*found: SelfCheck, alone: Any = None) -> EvaluationContext:
    return EvaluationContext(NOTHING, NOTHING, alone, RaceConfig(), self_checks=list(found))


def equal_copies(low: float, high: float) -> SelfCheck:
    return SelfCheck((low * high) ** 0.5, (low, high), smallest_slowdown((low, high)), 100, 2.0, 1e6)


def raced(ratio: float = 1.0, **found: Any) -> LatencyMeasurement:
    return LatencyMeasurement("eager", race=replace(RACE, ratio=ratio, **found))


def judged(
    outcome: Outcome, measurement: LatencyMeasurement, context: EvaluationContext, budget: LatencyBudget = FIVE_PERCENT
) -> Verdict:
    """Return the verdict as it stands once the machine was looked at, of one that says only this."""
    if outcome is Outcome.FAIL:
        measurement = self_checked(measurement, NOTHING, NOTHING, context)
    sentence = {Outcome.FAIL: "twin: too slow", Outcome.PASS: "fine", Outcome.INCONCLUSIVE: "not told"}[outcome]
    return with_noise(Verdict("latency", outcome, sentence, measurement=measurement), measurement, budget)


def failed(ratio: float, context: EvaluationContext, budget: LatencyBudget = FIVE_PERCENT) -> Verdict:
    return judged(Outcome.FAIL, raced(ratio), context, budget)


def test_a_fail_says_what_the_machine_can_tell() -> None:
    verdict = failed(1.2, context(equal_copies(0.99, 1.01)))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence == (
        "A/A check: two equal copies of eager had a ratio of 1.000; "
        "this machine resolves slowdowns of 1 % and more in 2 s",
    )
    assert isinstance(verdict.measurement, LatencyMeasurement)
    assert flat(verdict.measurement)["aa_slowdown"] == pytest.approx(1 / 0.99 - 1)


@pytest.mark.parametrize(("low", "high"), [(1.07, 1.09), (0.91, 0.93)])
def test_where_equal_copies_fail_too_nothing_is_known(low: float, high: float) -> None:
    verdict = failed(1.2, context(equal_copies(low, high)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.sentence.startswith("twin: too slow; but in the A/A check two equal copies of eager differed by ")
    assert f"[{low:.3f}, {high:.3f}]: this machine can't judge it now" in verdict.sentence


def test_copies_that_differ_by_more_than_the_excess_leave_it_open() -> None:
    assert failed(1.06, context(equal_copies(1.02, 1.04))).outcome is Outcome.INCONCLUSIVE
    assert failed(1.20, context(equal_copies(1.02, 1.04))).outcome is Outcome.FAIL


def test_the_excess_over_a_required_speedup_counts_alike() -> None:
    budget = LatencyBudget(speedup=2.0)
    assert failed(0.51, context(equal_copies(1.03, 1.04)), budget).outcome is Outcome.INCONCLUSIVE
    assert failed(0.60, context(equal_copies(1.03, 1.04)), budget).outcome is Outcome.FAIL


def test_a_budget_finer_than_what_the_machine_resolves_is_told_so() -> None:
    verdict = failed(1.2, context(equal_copies(0.98, 1.0)), LatencyBudget(max_slowdown=0.01))
    assert verdict.evidence[-1] == "max_slowdown=1 % is finer than the 2 % that this machine resolves in 2 s"


def test_a_pass_asks_for_no_check() -> None:
    verdict = judged(Outcome.PASS, raced(), context())
    assert (verdict.outcome, verdict.sentence, verdict.evidence) == (Outcome.PASS, "fine", ())


def test_a_fail_stands_where_the_machine_was_too_busy_for_the_check() -> None:
    @contextlib.contextmanager
    def never() -> Any:
        raise BusyError("pid 5 has the machine alone")
        yield

    verdict = failed(1.2, context(alone=never))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence == ("no A/A check: pid 5 has the machine alone",)


def test_calls_too_slow_for_a_check_get_none() -> None:
    verdict = judged(Outcome.FAIL, raced(1.2, p50_ns=1e9), context())
    assert verdict.evidence == ("no A/A check: 30 pairs of such calls take 60 s",)


def test_what_was_bad_is_named_when_nothing_could_be_told() -> None:
    found = raced(
        interval=(0.977, 1.02),
        seconds=10.0,
        queued_share=0.23,
        strain=Strain(load_after=0.5, throttled=30, steal=0.12, cpus=2),
    )
    held = Strain(load_after=7.9, throttled=1, cpus=2)
    found = replace(found, percentiles=PercentileMeasurement({}, 1e6, 1e6, 1e6, 100, 1.0, 1.0, 0, held))
    assert judged(Outcome.INCONCLUSIVE, found, context(), LatencyBudget(max_slowdown=0.01)).sentence == (
        "not told; the cgroup was throttled 31 times meanwhile; steal 12 %; calls waited for a processor 23 % of their "
        "time; load 7.9 on 2 CPUs; max_slowdown=1 % is finer than the 2.4 % that this machine resolves in 10 s"
    )


def test_on_a_quiet_machine_nothing_is_blamed() -> None:
    quiet = Strain(load_after=0.5, throttled=0, steal=0.0, cpus=2)
    found = raced(interval=(0.0, 1.0), queued_share=0.01, strain=quiet)
    assert judged(Outcome.INCONCLUSIVE, found, context()).sentence == "not told"


@dataclass(frozen=True)
class Threaded(LocalSide):
    """A side that is said to run on so many threads."""

    used: int | None = None

    def threads_used(self, told: int) -> int | None:
        del told
        return self.used


def sides_of(evaluation: Any, ours: int, theirs: int | None) -> Any:
    sides = Sides(Threaded(lambda: None, ours), Threaded(lambda: None, theirs))
    return check_threads(sides, evaluation, 1)


def test_a_side_on_more_threads_than_it_was_told_is_an_error() -> None:
    evaluation = SimpleNamespace(backend=SimpleNamespace(name="ort"), versus=SimpleNamespace(name="eager"))
    with pytest.raises(BuildError) as error:
        sides_of(evaluation, 2, 1)
    assert str(error.value) == "ort ran on 2 threads, was told 1; a comparison would be unfair"
    with pytest.raises(BuildError, match="eager ran on 3 threads, was told 1"):
        sides_of(evaluation, 1, 3)
    assert sides_of(evaluation, 1, None) == (1, None)
