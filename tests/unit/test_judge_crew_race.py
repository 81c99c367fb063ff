from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.crew_race import judge_crews

FOUND = CrewRaceMeasurement(
    ratio=1.16,
    interval=(1.14, 1.18),
    candidate_levels=(math.log(1.15), math.log(1.17)),
    reference_levels=(-math.log(1.15), -math.log(1.17)),
    processes=6,
    sweeps=40,
    seconds=4.2,
    p50_ns=1.16e6,
    reference_p50_ns=1e6,
    cpu_ratio=1.15,
    queued_share=0.0,
    threads=1,
    seed=0,
    shown=Shown.ABOVE,
    reason="6 processes a side in 40 sweeps were above 1.05",
)


def test_a_fail_is_one_sentence_with_both_numbers() -> None:
    judged = judge_crews(FOUND, 1.05, "onnxruntime 1.22.1")
    assert judged.outcome is Outcome.FAIL
    assert judged.sentence == (
        "1.16x as long as with onnxruntime 1.22.1 [1.14, 1.18], limit 1.05x; 6 processes a side, 4.2 s"
    )
    assert judged.evidence == ("p50 1.16 ms against 1.00 ms, CPU time 1.15x, processes by themselves 1.15x to 1.17x")


@pytest.mark.parametrize(
    ("shown", "outcome"), [(Shown.BELOW, Outcome.PASS), (Shown.ABOVE, Outcome.FAIL), (Shown.OPEN, Outcome.INCONCLUSIVE)]
)
def test_the_outcome_is_what_was_shown(shown: Shown, outcome: Outcome) -> None:
    assert judge_crews(replace(FOUND, shown=shown), 1.05, "torch 2.8").outcome is outcome


def test_an_inconclusive_says_why_and_what_disturbed() -> None:
    found = replace(FOUND, shown=Shown.OPEN, reason="12 processes could not tell", queued_share=0.24)
    sentence = judge_crews(found, 1.05, "torch 2.8").sentence
    assert sentence.endswith("1.05x; 12 processes could not tell; calls waited for a processor 24 % of their time")


def test_without_a_limit_the_sentence_says_what_was_found() -> None:
    judged = judge_crews(replace(FOUND, shown=None), None, "torch 2.8")
    assert judged.outcome is Outcome.PASS
    assert "[1.14, 1.18], no limit;" in judged.sentence


def test_where_nothing_was_timed_the_reason_stands_alone() -> None:
    nothing = replace(
        FOUND, ratio=None, p50_ns=None, candidate_levels=(), reference_levels=(), shown=Shown.OPEN, reason="too slow"
    )
    judged = judge_crews(nothing, 1.05, "torch 2.8")
    assert (judged.outcome, judged.sentence) == (Outcome.INCONCLUSIVE, "not told from torch 2.8: too slow")
