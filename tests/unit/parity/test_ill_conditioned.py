"""Calls that eager's own arithmetic can't judge: never a backend's fault, and no way out for a broken one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

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
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import facts

GENERATOR = torch.Generator().manual_seed(0)
UNIFORM = torch.rand(64, generator=GENERATOR)
SECONDS = 1.7e9 + 3600 * torch.arange(16.0)


class Function(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


def logistic_map(x: torch.Tensor) -> torch.Tensor:
    for _ in range(100):
        x = 3.9 * x * (1 - x)
    return x


def wave(seconds: torch.Tensor) -> torch.Tensor:
    return torch.sin(seconds * 6.28)


def hashed(x: torch.Tensor) -> torch.Tensor:
    return (torch.sin(x * 1298.98) * 43758.5453).frac()


def centred(x: torch.Tensor) -> torch.Tensor:
    return x + 1e6 - (x + 1e6).mean()


def reciprocal(x: torch.Tensor) -> torch.Tensor:
    return 1 / ((x + 1e5) - 1e5 + 1e-4)


CHAOTIC = {
    "sine of Unix seconds": (wave, SECONDS),
    "logistic map": (logistic_map, UNIFORM),
    "hash by a sine": (hashed, 100 * UNIFORM),
    "a small difference of large numbers": (centred, UNIFORM),
    "reciprocal of a difference": (reciprocal, UNIFORM / 100),
}


def references(function, x, precision=Precision.FP32) -> References:
    return ReferenceCache().references(Function(function).eval(), Call("forward", Inputs((x,)), None), precision)


def judge(actual, known: References, x, precision=Precision.FP32, **budget) -> Comparison:
    return compare(actual, known, Inputs((x,)), Terms(ParityBudget(**budget), precision))


@pytest.mark.parametrize(("function", "x"), CHAOTIC.values(), ids=CHAOTIC)
def test_what_equals_eager_to_the_bit_passes(function, x) -> None:
    known = references(function, x)
    result = judge(function(x), known, x)
    assert result.outcome is Outcome.PASS
    for tolerance in (Tolerance(cosine=1.0), Tolerance(rtol=0.0, atol=0.0), Tolerance(top1=1.0, sqnr_db=300)):
        assert judge(function(x), known, x, tolerance=tolerance).outcome is Outcome.PASS


@pytest.mark.parametrize(("function", "x"), CHAOTIC.values(), ids=CHAOTIC)
def test_other_rounding_is_inconclusive_with_eagers_own_figure(function, x) -> None:
    known = references(function, x)
    result = judge(function(x.double()).float(), known, x)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "eager's own fp32 is off its fp64 by" in result.sentence
    assert facts(result)["eagers_own_error"] > 0.05


@pytest.mark.parametrize(("function", "x"), CHAOTIC.values(), ids=CHAOTIC)
def test_what_no_rounding_makes_fails_all_the_same(function, x) -> None:
    known = references(function, x)
    answer = function(x)
    for wrong in (
        torch.zeros_like(answer),
        answer * torch.nan,
        answer[:-1],
        answer * 1e4,
        torch.full_like(answer, 0.3),
    ):
        assert judge(wrong, known, x).outcome is Outcome.FAIL


def sign_of_noise(x: torch.Tensor) -> torch.Tensor:
    return torch.sign((x + 3) * 1.1 - (x * 1.1 + 3.3))


def test_a_step_over_rounding_noise_may_come_out_on_one_side_throughout() -> None:
    known = references(sign_of_noise, UNIFORM)
    assert len(known.expected.output.unique()) == 2
    for even in (0.0, 1.0):
        assert judge(torch.full_like(UNIFORM, even), known, UNIFORM).outcome is Outcome.INCONCLUSIVE
    for wrong in (0.5, 2.0, torch.nan):
        assert judge(torch.full_like(UNIFORM, wrong), known, UNIFORM).outcome is Outcome.FAIL


def test_numbers_of_the_mark_are_held_whatever_eager_is_off() -> None:
    known = references(logistic_map, UNIFORM)
    other = logistic_map(UNIFORM * (1 + 1e-6))
    assert judge(other, known, UNIFORM, tolerance=Tolerance(atol=1e-3)).outcome is Outcome.FAIL
    assert judge(other, known, UNIFORM, tolerance=Tolerance(atol=1.0)).outcome is Outcome.PASS


def test_an_output_that_can_be_judged_is_judged_beside_one_that_cannot() -> None:
    both = {"chaos": logistic_map(UNIFORM), "sum": UNIFORM + 1}
    known = references(lambda x: {"chaos": logistic_map(x), "sum": x + 1}, UNIFORM)
    other = logistic_map(UNIFORM * (1 + 1e-6))
    assert judge(both, known, UNIFORM).outcome is Outcome.PASS
    assert judge(both | {"chaos": other}, known, UNIFORM).outcome is Outcome.INCONCLUSIVE
    wrong = judge({"chaos": other, "sum": UNIFORM + 1.01}, known, UNIFORM)
    assert wrong.outcome is Outcome.FAIL
    assert facts(wrong)["output"] == "sum"
    assert judge(both | {"chaos": other}, known, UNIFORM, only=("sum",)).outcome is Outcome.PASS


def test_one_element_that_eager_cannot_judge_hides_no_error_in_the_others() -> None:
    exact = torch.linspace(1, 2, 1000, dtype=torch.float64)
    eager = exact.float()
    eager[0] = 0.0
    known = References(eager, exact)
    moved = eager.clone()
    moved[0] = 2.0
    assert judge(moved, known, UNIFORM).outcome is Outcome.INCONCLUSIVE
    assert judge(moved * 1.5, known, UNIFORM).outcome is Outcome.FAIL


def test_where_eager_overflows_and_its_fp64_does_not_nothing_is_claimed() -> None:
    x = torch.tensor([[1.0, 2.0, 100.0], [1.0, 2.0, 3.0]])
    known = references(lambda x: x.exp() / x.exp().sum(-1, keepdim=True), x)
    result = judge(x.softmax(-1), known, x)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "eager's own fp32 is nan at [0, 2], where its fp64 is 1" in result.sentence
    wrong = x.softmax(-1)
    wrong[1] = wrong[1].flip(0)
    assert judge(wrong, known, x).outcome is Outcome.FAIL
    assert judge(x.softmax(-1) * torch.nan, known, x).outcome is Outcome.FAIL


def test_integers_that_eagers_own_rounding_decides_are_inconclusive() -> None:
    known = references(lambda x: (hashed(x) * 1000).long(), 100 * UNIFORM)
    other = (hashed(100 * UNIFORM * (1 + 1e-6)) * 1000).long()
    result = judge(other, known, UNIFORM)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "eager's own fp32 differs from its fp64 at" in result.sentence
    assert judge(torch.zeros_like(other), known, UNIFORM).outcome is Outcome.FAIL
    stable = references(lambda x: (x * 10).long(), UNIFORM)
    assert judge((UNIFORM * 10).long() + 1, stable, UNIFORM).outcome is Outcome.FAIL


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16, Precision.INT8])
def test_a_coarser_precision_in_which_eager_is_lost_is_inconclusive(precision: Precision) -> None:
    known = references(logistic_map, UNIFORM, precision)
    other = logistic_map(UNIFORM.bfloat16()).float()
    assert judge(other, known, UNIFORM, precision).outcome is Outcome.INCONCLUSIVE
    assert judge(torch.zeros_like(other), known, UNIFORM, precision).outcome is Outcome.FAIL


class Instances:
    __slots__ = ("fields",)

    def __init__(self, **fields: object) -> None:
        self.fields = SimpleNamespace(**fields)


@pytest.mark.parametrize("kind", [SimpleNamespace, Instances, lambda boxes: torch.distributions.Normal(boxes, 1.0)])
def test_tensors_in_an_object_of_unknown_type_are_said_to_be_uncompared(kind) -> None:
    output = {"logits": UNIFORM, "found": kind(boxes=UNIFORM)}
    result = judge(output, References(output), UNIFORM)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert f"a {type(output['found']).__name__} holds tensors" in result.sentence
    assert "return them in a tuple, dict, dataclass or ModelOutput" in result.sentence
    assert judge(output | {"logits": UNIFORM + 1}, References(output), UNIFORM).outcome is Outcome.FAIL
    assert judge(output, References(output), UNIFORM, only=("logits",)).outcome is Outcome.PASS


def test_an_empty_answer_is_equal_to_an_empty_one_only() -> None:
    empty, three = torch.zeros(0, 4), torch.zeros(3, 4)
    beside = {"boxes": empty, "scores": UNIFORM}
    assert judge(beside, References(beside), UNIFORM).outcome is Outcome.PASS
    assert judge(empty, References(empty), UNIFORM).compared_nothing
    for actual, expected in ((empty, three), (three, empty)):
        result = judge(actual, References(expected), UNIFORM)
        assert result.outcome is Outcome.FAIL
        assert "has shape" in result.sentence
