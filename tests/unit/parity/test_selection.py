"""Indices: free among equal scores, eager's everywhere else."""

from __future__ import annotations

import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.judge.parity.terms import Terms
from tests.unit.parity.shown import facts, lines
from tests.unit.parity.test_ill_conditioned import Function

TIED = torch.tensor([[3.0, 5.0, 5.0, 1.0, 2.0, 1.0], [7.0, 0.0, 7.0, 7.0, -1.0, -1.0]])


def judge(function, actual, x=TIED, precision=Precision.FP32):
    references = ReferenceCache().references(Function(function), Call("forward", Inputs((x,)), None), precision)
    return compare(actual, references, Inputs((x,)), Terms(ParityBudget(), precision))


@pytest.mark.parametrize(
    ("function", "tied", "wrong"),
    [
        (lambda x: x.argmax(-1), [2, 3], [2, 1]),
        (lambda x: x.argmax(-1, keepdim=True).int(), [[2], [2]], [[0], [2]]),
        (lambda x: x.T.argmax(0), [2, 3], [2, 1]),
        (lambda x: x.argmin(-1), [5, 5], [5, 0]),
        (lambda x: x.max(-1).indices, [2, 2], [4, 2]),
        (lambda x: x[0].argmax(), 2, 3),
        (lambda x: x.topk(2).indices, [[2, 1], [3, 0]], [[2, 2], [3, 3]]),
        (lambda x: x.topk(2, dim=-1, largest=False).indices, [[5, 3], [5, 4]], [[5, 4], [5, 4]]),
        (lambda x: x.argsort(-1), [[5, 3, 4, 0, 2, 1], [5, 4, 1, 3, 2, 0]], [[5, 3, 0, 4, 2, 1], [5, 4, 1, 3, 2, 0]]),
        (lambda x: x.sort(dim=-1, stable=True).indices, [[5, 3, 4, 0, 2, 1], [5, 4, 1, 3, 2, 0]], [[3] * 6, [4] * 6]),
        (lambda x: x.kthvalue(6).indices, [2, 3], [0, 3]),
        (lambda x: (x.sigmoid() * 2).argmax(-1), [2, 3], [0, 3]),
    ],
)
def test_indices_may_differ_between_equal_scores_and_nowhere_else(function, tied, wrong) -> None:
    dtype = function(TIED).dtype
    result = judge(function, torch.tensor(tied, dtype=dtype))
    assert result.outcome is Outcome.PASS
    assert facts(result)["different_elements"] > 0
    assert "of equal scores" in result.sentence
    assert judge(function, torch.tensor(wrong, dtype=dtype)).outcome is Outcome.FAIL
    assert judge(function, torch.full_like(function(TIED), 99)).outcome is Outcome.FAIL


def test_returned_scores_are_compared_beside_their_indices() -> None:
    def top(x):
        return {"scores": x.topk(2).values, "indices": x.topk(2).indices}

    other = {"scores": TIED.topk(2).values, "indices": torch.tensor([[2, 1], [3, 0]])}
    assert judge(top, other).outcome is Outcome.PASS
    assert judge(top, other | {"scores": other["scores"] + 1}).outcome is Outcome.FAIL


def test_scores_that_rounding_can_turn_round_are_a_near_tie_in_fp32_and_unknown_below() -> None:
    x = torch.tensor([[1.0, 1.0 + 3e-7, 0.2]])
    near = judge(lambda x: x.argmax(-1), torch.tensor([0]), x)
    assert near.outcome is Outcome.PASS
    assert "which rounding explains" in near.sentence
    coarse = torch.tensor([[1.0, 1.05, 0.2]])
    assert judge(lambda x: x.argmax(-1), torch.tensor([0]), coarse).outcome is Outcome.FAIL
    assert judge(lambda x: x.argmax(-1), torch.tensor([0]), coarse, Precision.BF16).outcome is Outcome.INCONCLUSIVE
    assert judge(lambda x: x.argmax(-1), torch.tensor([2]), coarse, Precision.BF16).outcome is Outcome.FAIL


def test_a_wrong_index_is_told_how_far_from_a_tie_it_is() -> None:
    result = judge(lambda x: x.argmax(-1), torch.tensor([0, 0]))
    assert result.outcome is Outcome.FAIL
    assert any("eager's scores at the two indices lie 2.0e+00 apart" in line for line in lines(result))


def test_integers_that_are_no_indices_must_be_equal() -> None:
    result = judge(
        lambda x: {"top": x.argmax(-1), "count": (x > 0).sum(-1)},
        {"top": TIED.argmax(-1), "count": torch.tensor([5, 4])},
    )
    assert result.outcome is Outcome.FAIL
