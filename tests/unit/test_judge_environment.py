"""The verdict on an environment blames what is worse there, and nothing else."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.core.measurement.environment import AnswersMeasurement, EnvironmentMeasurement, Environments
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.environment import judge_answers, judge_environment
from pytest_cpuaccel.report.facts.result import facts_of, result_of

NAMES = Environments("this environment", "old", ("onnxruntime 1.22.1 -> 1.31.1",))
PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("candidate", "reference", "outcome"),
    [
        (PASS, PASS, PASS),
        (PASS, FAIL, PASS),
        (FAIL, PASS, FAIL),
        (FAIL, FAIL, INCONCLUSIVE),
        (FAIL, INCONCLUSIVE, INCONCLUSIVE),
        (PASS, INCONCLUSIVE, INCONCLUSIVE),
        (INCONCLUSIVE, PASS, INCONCLUSIVE),
    ],
)
def test_an_answer_fails_where_the_candidate_alone_is_wrong(
    candidate: Outcome, reference: Outcome, outcome: Outcome
) -> None:
    found = judge_answers(AnswersMeasurement(NAMES, "2e-7", "1e-7", 3e-7), candidate, reference)
    assert found.outcome is outcome
    assert "2e-7" in found.sentence
    assert "1e-7" in found.sentence
    assert ("onnxruntime 1.22.1 -> 1.31.1" in found.sentence) == (outcome is FAIL)


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
