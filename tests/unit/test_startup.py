"""Seconds of a few fresh processes, held to a budget; no clock is read here."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.budget import StartupBudget
from pytest_cpuaccel.core.measurement.startup import Attempt, StageTime, Starts, StartupMeasurement
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.startup import judge_startup
from pytest_cpuaccel.measure.startup import ATTEMPTS, machine_slowdown, start_until

BUDGET_NS = 2_000_000_000


@dataclass(frozen=True)
class Held:
    starts: Starts
    verdict: Verdict

    @property
    def outcome(self) -> Outcome:
        return self.verdict.outcome

    @property
    def reason(self) -> str:
        """What stands in brackets behind the figures."""
        return self.verdict.sentence.partition("(")[2].removesuffix(")")


def held(*attempts: Attempt) -> Held:
    starts = start_until(BUDGET_NS, iter(attempts).__next__)
    measurement = StartupMeasurement(cold_start=starts)
    return Held(starts, judge_startup(measurement, StartupBudget(cold_start_ns=BUDGET_NS), "ort: forward"))


def took(seconds: float, queued: float = 0.0, slowdown: float = 1.0) -> Attempt:
    ns = round(seconds * 1e9)
    return Attempt(ns, round(queued * 1e9), slowdown, slowdown <= 1.1, (StageTime("load", ns),))


def test_the_sentence_holds_what_was_found_and_allowed_and_the_evidence_the_stages() -> None:
    found = held(took(3.0), took(1.9))
    assert found.verdict.sentence == "ort: forward: cold start took 1.90 s, budget 2.00 s (attempt 2 kept it)"
    assert found.verdict.evidence == ("of the cold start: load 1.90 s",)


def test_the_first_attempt_that_keeps_the_budget_is_the_last() -> None:
    found = held(took(2.0), took(9.0))
    assert (found.outcome, len(found.starts.attempts)) == (Outcome.PASS, 1)


def test_a_slow_attempt_is_forgiven() -> None:
    found = held(took(3.0), took(1.9))
    assert (found.outcome, found.starts.best) == (Outcome.PASS, took(1.9))


def test_a_fail_needs_every_attempt_to_break_the_budget() -> None:
    found = held(took(2.5), took(2.1), took(2.3))
    assert (found.outcome, found.starts.best) == (Outcome.FAIL, took(2.1))
    assert found.reason == f"the fastest of {ATTEMPTS} fresh processes"


def test_time_spent_waiting_for_a_processor_is_not_held_against_it() -> None:
    found = held(took(5.0, queued=3.2), took(4.0, queued=0.5), took(6.0, queued=1.0))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reason == "but 1.80 s without waiting for a processor"


def test_nothing_fails_on_a_machine_that_is_not_itself() -> None:
    found = held(took(3.0, slowdown=1.5), took(3.0, slowdown=1.3), took(3.0, slowdown=1.4))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "a probe took 1.30 times its best" in found.reason


def test_one_calm_attempt_is_enough_for_a_fail() -> None:
    assert held(took(3.0, slowdown=1.5), took(3.0), took(3.0, slowdown=1.5)).outcome is Outcome.FAIL


def test_the_machine_is_never_faster_than_its_best() -> None:
    assert machine_slowdown() >= 1
