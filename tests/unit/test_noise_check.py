"""What a verdict says of the machine."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.errors import BuildError, BusyError
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge import noise_check as fitness
from pytest_cpuaccel.judge import threads
from pytest_cpuaccel.judge.context import EvaluationContext
from pytest_cpuaccel.judge.noise_check import with_fitness
from pytest_cpuaccel.judge.threads import check_threads
from pytest_cpuaccel.machine import traits as machine_fitness
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.self_check import Resolution

NOTHING: Any = None
FIVE_PERCENT = LatencyBudget(max_slowdown=0.05)


def context(*found: Resolution, alone: Any = None) -> EvaluationContext:
    return EvaluationContext(NOTHING, NOTHING, alone, RaceConfig(), self_checks=list(found))


def equal_copies(low: float, high: float) -> Resolution:
    return Resolution((low * high) ** 0.5, (low, high), 100, 2.0, 1e6)


def judged(verdict: Verdict, context: EvaluationContext, budget: LatencyBudget = FIVE_PERCENT) -> Verdict:
    return with_fitness(verdict, NOTHING, NOTHING, budget, context, RaceConfig())


def failed(ratio: float) -> Verdict:
    return Verdict("latency", Outcome.FAIL, "twin: too slow", {"ratio": ratio})


def test_a_fail_says_what_the_machine_can_tell() -> None:
    verdict = judged(failed(1.2), context(equal_copies(0.99, 1.01)))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence == (
        "A/A check: two equal copies of eager had a ratio of 1.000; "
        "this machine resolves slowdowns of 1 % and more in 2 s",
    )
    assert verdict.facts["aa_slowdown"] == pytest.approx(1 / 0.99 - 1)


@pytest.mark.parametrize(("low", "high"), [(1.07, 1.09), (0.91, 0.93)])
def test_where_equal_copies_fail_too_nothing_is_known(low: float, high: float) -> None:
    verdict = judged(failed(1.2), context(equal_copies(low, high)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.sentence.startswith("twin: too slow; but in the A/A check two equal copies of eager differed by ")
    assert f"[{low:.3f}, {high:.3f}]: this machine can't judge it now" in verdict.sentence


def test_copies_that_differ_by_more_than_the_excess_leave_it_open() -> None:
    assert judged(failed(1.06), context(equal_copies(1.02, 1.04))).outcome is Outcome.INCONCLUSIVE
    assert judged(failed(1.20), context(equal_copies(1.02, 1.04))).outcome is Outcome.FAIL


def test_the_excess_over_a_required_speedup_counts_alike() -> None:
    budget = LatencyBudget(speedup=2.0)
    assert judged(failed(0.51), context(equal_copies(1.03, 1.04)), budget).outcome is Outcome.INCONCLUSIVE
    assert judged(failed(0.60), context(equal_copies(1.03, 1.04)), budget).outcome is Outcome.FAIL


def test_a_budget_finer_than_what_the_machine_resolves_is_told_so() -> None:
    verdict = judged(failed(1.2), context(equal_copies(0.98, 1.0)), LatencyBudget(max_slowdown=0.01))
    assert verdict.evidence[-1] == "max_slowdown=1 % is finer than the 2 % that this machine resolves in 2 s"


def test_a_pass_asks_for_no_check() -> None:
    verdict = Verdict("latency", Outcome.PASS, "fine")
    assert judged(verdict, context()) == verdict


def test_a_fail_stands_where_the_machine_was_too_busy_for_the_check() -> None:
    @contextlib.contextmanager
    def never() -> Any:
        raise BusyError("pid 5 has the machine alone")
        yield

    verdict = judged(failed(1.2), context(alone=never))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence == ("no A/A check: pid 5 has the machine alone",)


def test_calls_too_slow_for_a_check_get_none() -> None:
    slow = replace(failed(1.2), facts={"ratio": 1.2, "p50_ns": 1e9})
    assert judged(slow, context()).evidence == ("no A/A check: 30 pairs of such calls take 60 s",)


def test_what_was_bad_is_named_when_nothing_could_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (machine_fitness, fitness):
        monkeypatch.setattr(module, "cpus_online", lambda: 2)
    facts = {
        "throttled": 30,
        "percentile_throttled": 1,
        "steal": 0.12,
        "queued_share": 0.23,
        "load_after": 7.9,
        "ratio": 1.0,
        "ratio_low": 0.977,
        "ratio_high": 1.02,
        "seconds": 10.0,
    }
    open_question = Verdict("latency", Outcome.INCONCLUSIVE, "not told", facts)
    assert judged(open_question, context(), LatencyBudget(max_slowdown=0.01)).sentence == (
        "not told; the cgroup was throttled 31 times meanwhile; steal 12 %; calls waited for a processor 23 % of their "
        "time; load 7.9 on 2 CPUs; max_slowdown=1 % is finer than the 2.4 % that this machine resolves in 10 s"
    )


def test_on_a_quiet_machine_nothing_is_blamed() -> None:
    facts = {"throttled": 0, "steal": 0.0, "queued_share": 0.01, "load_after": 0.5}
    assert judged(Verdict("latency", Outcome.INCONCLUSIVE, "not told", facts), context()).sentence == "not told"


def sides_of(evaluation: Any, used: dict[str, int | None], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(threads, "threads_used", lambda call, _: used[call()])
    return check_threads(Sides(lambda: "ours", lambda: "theirs"), evaluation, 1)


def test_a_side_on_more_threads_than_it_was_told_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = SimpleNamespace(backend=SimpleNamespace(name="ort"), versus=SimpleNamespace(name="eager"))
    with pytest.raises(BuildError) as error:
        sides_of(evaluation, {"ours": 2, "theirs": 1}, monkeypatch)
    assert str(error.value) == "ort ran on 2 threads, was told 1; a comparison would be unfair"
    with pytest.raises(BuildError, match="eager ran on 3 threads, was told 1"):
        sides_of(evaluation, {"ours": 1, "theirs": 3}, monkeypatch)
    assert sides_of(evaluation, {"ours": 1, "theirs": None}, monkeypatch) == {"threads_used": 1}
