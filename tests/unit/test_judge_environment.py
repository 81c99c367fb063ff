"""The verdict on an environment blames what is worse there, and nothing else."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_cpuaccel.core.measurement.environment import (
    AnswersMeasurement,
    EnvironmentMeasurement,
    Environments,
    Resource,
    ResourcesMeasurement,
)
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Kind, Outcome
from pytest_cpuaccel.judge.environment import judge_answers, judge_environment, judge_resources
from pytest_cpuaccel.report.facts.result import facts_of, result_of
from pytest_cpuaccel.report.problem import MARKS

NAMES = Environments("this environment", "old", ("onnxruntime 1.22.1 -> 1.31.1",))
PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("candidate", "reference", "eager", "outcome", "opening"),
    [
        (PASS, PASS, None, PASS, "off eager by"),
        (PASS, FAIL, PASS, PASS, "wrong with old alone:"),
        (PASS, FAIL, FAIL, FAIL, "eager itself answers otherwise with old:"),
        (PASS, FAIL, INCONCLUSIVE, INCONCLUSIVE, "can't be told:"),
        (PASS, FAIL, None, INCONCLUSIVE, "can't be told:"),
        (FAIL, PASS, PASS, FAIL, "wrong with this environment:"),
        (FAIL, PASS, None, FAIL, "wrong with this environment:"),
        (FAIL, PASS, FAIL, FAIL, "eager itself answers otherwise with this environment:"),
        (FAIL, FAIL, None, INCONCLUSIVE, "wrong with both:"),
        (FAIL, INCONCLUSIVE, None, INCONCLUSIVE, "can't be told:"),
        (PASS, INCONCLUSIVE, None, INCONCLUSIVE, "can't be told:"),
        (INCONCLUSIVE, PASS, None, INCONCLUSIVE, "can't be told:"),
    ],
)
def test_an_answer_fails_where_the_candidate_alone_is_wrong_or_eager_moved(
    candidate: Outcome, reference: Outcome, eager: Outcome | None, outcome: Outcome, opening: str
) -> None:
    found = judge_answers(AnswersMeasurement(NAMES, "2e-7", "1e-7", 3e-7), candidate, reference, eager)
    assert found.outcome is outcome
    assert found.sentence.startswith(opening)
    assert "2e-7" in found.sentence
    assert "1e-7" in found.sentence
    assert ("onnxruntime 1.22.1 -> 1.31.1" in found.sentence) == (outcome is FAIL)


def test_what_is_wrong_in_the_same_way_is_no_worse() -> None:
    found = judge_answers(AnswersMeasurement(NAMES, "2.0", "2.0", 0.0), FAIL, FAIL)
    assert found.outcome is PASS
    assert found.sentence.startswith("wrong with both:")


def test_what_was_not_compared_is_inconclusive_and_says_why() -> None:
    found = judge_answers(AnswersMeasurement(NAMES, obstacle="with old there is no such test"), PASS, PASS)
    assert found.outcome is INCONCLUSIVE
    assert "there is no such test" in found.sentence
    raced = judge_environment(EnvironmentMeasurement(NAMES, 1.05, obstacle="with old there is no such test"))
    assert raced.outcome is INCONCLUSIVE
    assert "there is no such test" in raced.sentence


def test_both_verdicts_come_back_from_facts() -> None:
    verdicts = (
        judge_answers(AnswersMeasurement(NAMES, "2e-7", "1e-7", 3e-7), PASS, PASS),
        judge_environment(EnvironmentMeasurement(NAMES, 1.05, obstacle="the process is gone")),
    )
    result = Result("Mlp", "ort", "forward 2x3", verdicts)
    assert result_of(dict(facts_of(result))).verdicts == verdicts


def test_a_test_that_fails_with_the_candidate_alone_is_a_fail_and_one_that_is_skipped_there_is_not() -> None:
    why = "with new call failed: ImportError: gone"
    failing = judge_environment(EnvironmentMeasurement(NAMES, 1.05, obstacle=why, alone="fails"))
    assert failing.outcome is FAIL
    assert why in failing.sentence
    assert NAMES.changes[0] in failing.sentence
    skipped = judge_environment(EnvironmentMeasurement(NAMES, 1.05, obstacle=why, alone="is skipped"))
    assert skipped.outcome is INCONCLUSIVE


def test_the_first_token_that_differs_is_told() -> None:
    measured = AnswersMeasurement(NAMES, "8 of 8 tokens", "7 of 8 tokens", 3, 7, "6 of 8 tokens")
    found = judge_answers(measured, PASS, FAIL, FAIL)
    assert "token that differs between the two is number 8" in found.sentence


def resources(*given: Resource) -> ResourcesMeasurement:
    return ResourcesMeasurement(NAMES, 1.05, given)


def test_resources_are_as_bad_as_the_worst_and_name_both_figures() -> None:
    start = Resource("cold start", (2e9, 2.2e9), (2e9, 2.1e9), Shown.OPEN)
    memory = Resource("peak memory", (300e6, 310e6), (200e6, 201e6), Shown.ABOVE)
    artifact = Resource("artifact", (100e6,), (100e6,), Shown.BELOW)
    assert judge_resources(resources(artifact)).outcome is PASS
    assert judge_resources(resources(artifact, start)).outcome is INCONCLUSIVE
    found = judge_resources(resources(artifact, start, memory))
    assert found.outcome is FAIL
    assert "peak memory 305 MB against 200 MB with old (1.52x), limit 1.05x; what differs: onnx" in found.sentence
    assert "cold start" not in found.sentence
    assert found.evidence == ("peak memory of fresh processes: 300 MB to 310 MB against 200 MB to 201 MB",)


def test_the_figures_of_resources_come_back_from_facts_as_medians() -> None:
    found = judge_resources(resources(Resource("cold start", (1e9, 3e9), (2e9, 2e9), Shown.BELOW)))
    result = Result("Mlp", "ort", "forward 2x3", (found,))
    (read,) = result_of(dict(facts_of(result))).verdicts
    assert read.measurement == resources(Resource("cold start", (2e9,), (2e9,), Shown.BELOW))


def test_every_kind_of_verdict_is_a_problem_of_some_mark() -> None:
    assert set(MARKS) == set(get_args(Kind))


def test_of_many_changes_the_first_are_named() -> None:
    names = Environments("new", "old", tuple(f"package-{number} 1 -> 2" for number in range(9)))
    found = judge_environment(EnvironmentMeasurement(names, 1.05, obstacle="with new the test fails", alone="fails"))
    assert found.sentence.endswith("package-4 1 -> 2, package-5 1 -> 2 and 3 more")
