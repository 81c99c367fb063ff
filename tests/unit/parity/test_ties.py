"""What is looked up by a choice between equal scores: another choice is as right, and nothing else is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.judge.parity.terms import Terms

SCORES = torch.tensor([[0.0, 3.0, 3.0, 3.0, 1.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
VALUES = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]])


class LooksUp(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, scores, values):
        return self.function(scores, values)


def judge(function, change, scores=SCORES, budget=None):
    """Judge eager's own answer, with some elements changed."""
    inputs = Inputs((scores, VALUES))
    references = ReferenceCache().references(LooksUp(function).eval(), Call("forward", inputs, None), Precision.FP32)
    actual = function(scores, VALUES)
    change(actual)
    return compare(actual, references, inputs, Terms(budget or ParityBudget(), Precision.FP32))


LOOKUPS = [
    (lambda s, v: v.gather(1, s.topk(2).indices), "topk"),
    (lambda s, v: v.gather(1, s.argsort(-1)), "sort"),
    (lambda s, v: v.gather(1, s.sort(-1, descending=True).indices)[:, :2] * 2, "sort"),
    (lambda s, v: v.gather(1, s.argmax(-1, keepdim=True)).expand(2, 2).clone(), "argmax"),
    (lambda s, v: v.gather(1, s.max(-1, keepdim=True).indices) + torch.zeros(2), "max"),
    (lambda s, v: v.gather(1, (-s).min(-1, keepdim=True).indices) + torch.zeros(2), "min"),
    (lambda s, v: v.long().gather(1, s.topk(2).indices), "topk"),
    (lambda s, v: v.gather(1, s.kthvalue(5, -1, keepdim=True).indices) + torch.zeros(2), "kthvalue"),
    (lambda s, v: v.gather(1, s[:, :5].median(-1, keepdim=True).indices) + torch.zeros(2), "median"),
    (lambda s, v: torch.eye(6)[s.argmax(-1)] @ v.T, "argmax"),
]


@pytest.mark.parametrize(("function", "operator"), LOOKUPS)
@pytest.mark.parametrize("budget", [ParityBudget(), ParityBudget(tolerance=Tolerance(atol=1e-3))])
def test_what_hangs_on_a_choice_between_equal_scores_is_not_judged_and_all_else_is(function, operator, budget) -> None:
    def in_the_tied_row(answer):
        answer[0] = answer[0].flip(-1) + 1

    def in_the_other_row(answer):
        answer[1, 0] += 1

    def in_both(answer):
        in_the_tied_row(answer)
        in_the_other_row(answer)

    tied = judge(function, in_the_tied_row, budget=budget)
    assert tied.outcome is Outcome.INCONCLUSIVE
    assert f"eager chose between equal values, in {operator}, and another choice is as right" in tied.sentence
    assert judge(function, in_the_other_row, budget=budget).outcome is Outcome.FAIL
    assert judge(function, in_both, budget=budget).outcome is Outcome.FAIL


@pytest.mark.parametrize(("function", "operator"), LOOKUPS)
def test_without_equal_scores_every_difference_is_the_backends(function, operator) -> None:  # noqa: ARG001
    distinct = SCORES + torch.arange(6) / 100
    result = judge(function, lambda answer: answer[0].add_(1), distinct)
    assert result.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "function",
    [
        lambda s, v: s.topk(2).values + v[:, :2],
        lambda s, v: v * s.max(-1, keepdim=True).values,
        lambda s, v: (s.argmax(-1), v * 2)[1],
        lambda s, v: v.gather(1, s.sort(-1).indices).sum(-1, keepdim=True) + v,
        lambda s, v: v.gather(1, s.sort(dim=-1, stable=True).indices),
    ],
)
def test_equal_scores_that_no_answer_hangs_on_excuse_nothing(function) -> None:
    assert judge(function, lambda answer: answer[0].add_(1)).outcome is Outcome.FAIL


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0])
def test_what_no_choice_gives_is_wrong_where_scores_are_equal_too(wrong) -> None:
    scores = torch.zeros(2, 6)
    result = judge(lambda s, v: v.gather(1, s.argsort(-1)), lambda answer: answer.fill_(wrong), scores)
    assert result.outcome is Outcome.FAIL


def test_every_element_is_seen_to_hang_on_its_choice() -> None:
    def looked_up(s, v):
        return v[0, s[0].topk(3).indices]

    for place in range(3):
        result = judge(looked_up, lambda answer, place=place: answer[place].add_(1))
        assert result.outcome is Outcome.INCONCLUSIVE
