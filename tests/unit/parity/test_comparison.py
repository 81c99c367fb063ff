"""The judgement of one call."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import facts, lines

GENERATOR = torch.Generator().manual_seed(0)
EXACT = torch.randn(4, 6, 32, generator=GENERATOR, dtype=torch.float64)
EAGER = EXACT.float()


def noisy(error, like=EXACT):
    """The exact answer off by a relative RMSE of ``error``."""
    generator = torch.Generator().manual_seed(1)
    return (like + error * like.square().mean().sqrt() * torch.randn(like.shape, generator=generator)).float()


def judge(actual, expected=EAGER, expected64=None, rounding=None, inputs=None, precision="fp32", **budget):
    return compare(
        actual,
        References(expected, expected64, rounding),
        inputs or Inputs(),
        Terms(ParityBudget(**budget), Precision(precision)),
    )


def within(**tolerance):
    return {"tolerance": Tolerance(**tolerance)}


# Floating-point defaults: the model's own rounding sets the bar.


def test_eager_itself_is_one_rounding_off():
    result = judge({"logits": EAGER}, {"logits": EAGER}, {"logits": EXACT})
    assert result.outcome is Outcome.PASS
    assert "(1.0x fp32 rounding)" in result.figure
    assert facts(result)["rounding_ratio"] == 1
    assert facts(result)["compared_elements"] == EAGER.numel()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_output_in_a_coarse_type_may_be_off_by_one_rounding_to_it(dtype):
    eager = EAGER.to(dtype)
    other = eager.clone()
    largest = int(eager.abs().argmax())
    other.view(-1)[largest] = torch.nextafter(eager.view(-1)[largest], torch.zeros((), dtype=dtype))
    for exact in (eager.double(), None):
        assert judge(other, eager, exact).outcome is Outcome.PASS
        assert judge((EAGER * 1.1).to(dtype), eager, exact).outcome is Outcome.FAIL
    assert judge(other.float(), eager.float(), eager.double()).outcome is Outcome.FAIL


def test_a_few_roundings_off_passes_and_bf16_passed_off_as_fp32_fails():
    coarse = noisy(1e-4)
    kept = judge(noisy(5e-4), coarse, EXACT)
    assert kept.outcome is Outcome.PASS
    assert 4 < facts(kept)["rounding_ratio"] < 6
    broken = judge(noisy(2e-3), coarse, EXACT)
    assert broken.outcome is Outcome.FAIL
    assert "fp32 rounding), allowed" in broken.sentence
    silent = judge(EXACT.bfloat16().float(), EAGER, EXACT)
    assert silent.outcome is Outcome.FAIL
    assert any("did the model run in bf16?" in line for line in lines(silent))


def test_one_element_far_off_fails_though_the_mean_error_is_small():
    spiked = EAGER.clone()
    spiked[1, 2, 3] += 1e-3
    result = judge(spiked, EAGER, EXACT)
    assert result.outcome is Outcome.FAIL
    assert any("worst at [1, 2, 3]" in line for line in lines(result))


def test_exact_eager_leaves_the_floor():
    whole = torch.arange(1.0, 200.0)
    assert judge(whole * (1 + 2e-7), whole, whole.double()).outcome is Outcome.PASS
    assert judge(whole * (1 + 1e-5), whole, whole.double()).outcome is Outcome.FAIL
    assert judge(whole, whole, whole.double()).figure == "exact"


def test_two_logits_are_not_blamed_for_eagers_luck():
    exact = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    lucky = exact.float()
    assert judge(lucky + 1.5e-6, lucky, exact).outcome is Outcome.PASS
    assert judge(lucky + 2e-3, lucky, exact).outcome is Outcome.FAIL


def test_bf16_is_held_to_eager_in_bf16():
    rounding = noisy(5e-3)
    kept = judge(noisy(8e-3), EAGER, EXACT, rounding, precision="bf16")
    assert kept.outcome is Outcome.PASS
    assert "bf16 rounding" in kept.figure
    assert judge(noisy(0.2), EAGER, EXACT, rounding, precision="bf16").outcome is Outcome.FAIL
    assert judge(noisy(8e-3), EAGER, None, rounding, precision="bf16").outcome is Outcome.PASS


def test_no_rounding_is_so_coarse_that_zeros_pass():
    unstable = noisy(0.4)
    result = judge(torch.zeros_like(EAGER), EAGER, EXACT, unstable, precision="bf16")
    assert result.outcome is Outcome.FAIL
    assert any("zero throughout" in line for line in lines(result))


DENORMAL = torch.linspace(1, 2, 24, dtype=torch.float64).reshape(4, 6) * 1e-40


@pytest.mark.parametrize("lost", [slice(None), slice(0, 12)])
def test_denormal_numbers_that_became_zero_are_called_so(lost):
    flushed = DENORMAL.float()
    flushed.flatten()[lost] = 0
    result = judge(flushed, DENORMAL.float(), DENORMAL)
    assert result.outcome is Outcome.FAIL
    assert lines(result)[-1].endswith("denormal number in eager and 0 here: are denormal numbers flushed to zero?")
    for other in (DENORMAL.float() * 2, flushed + DENORMAL.float() / 2):
        assert not any("denormal" in line for line in lines(judge(other, DENORMAL.float(), DENORMAL)))
    assert not any("denormal" in line for line in lines(judge(torch.zeros(4, 6, 32), EAGER, EXACT)))


def test_an_angle_that_jumps_is_called_one():
    exact = torch.linspace(-3, 3, 24, dtype=torch.float64).reshape(4, 6)
    exact[0, 0], exact[2, 5] = -math.pi, math.pi
    turned = exact.float()
    turned[0, 0], turned[2, 5] = math.pi, -math.pi
    result = judge(turned, exact.float(), exact)
    assert result.outcome is Outcome.FAIL
    assert lines(result)[-1].endswith("lies 2 pi from eager's: is it an angle, which jumps from pi to -pi?")
    turned[1, 1] += 1
    assert not any("2 pi" in line for line in lines(judge(turned, exact.float(), exact)))


def test_without_fp64_the_default_tolerance_is_relative_to_the_outputs_scale():
    assert judge(noisy(1e-5)).outcome is Outcome.PASS
    assert judge(noisy(1e-2)).outcome is Outcome.FAIL
    small = EAGER * 1e-3
    assert judge(noisy(1e-2, like=EXACT * 1e-3), small).outcome is Outcome.FAIL
    assert judge(noisy(1e-2), precision="bf16").outcome is Outcome.PASS


def test_a_zero_or_constant_reference_divides_nothing():
    zero = torch.zeros(8)
    assert judge(zero, zero, zero.double()).outcome is Outcome.PASS
    assert judge(zero + 1e-9, zero, zero.double()).outcome is Outcome.PASS
    assert judge(zero + 1, zero, zero.double()).outcome is Outcome.FAIL
    for precision in Precision:
        assert judge(zero, zero, precision=precision).outcome is Outcome.PASS
        assert judge(zero + 1, zero, precision=precision).outcome is Outcome.FAIL
    assert judge(zero + 5, zero + 5, zero.double() + 5).outcome is Outcome.PASS


# int8


def test_int8_is_held_to_sqnr_and_cosine():
    kept = judge(noisy(0.1), precision="int8")
    assert kept.outcome is Outcome.PASS
    assert re.fullmatch(r"20 dB, cosine 0\.99\d\d", kept.figure)
    assert 0 < facts(kept)["top1"] < 1
    broken = judge(noisy(0.6), precision="int8")
    assert broken.outcome is Outcome.FAIL
    assert "at least 8 dB wanted" in broken.sentence


def test_int8_is_held_to_eagers_int8_rounding_too():
    rounding = noisy(0.02)
    usual = judge(noisy(0.06), EAGER, EXACT, rounding, precision="int8")
    assert usual.outcome is Outcome.PASS
    assert re.fullmatch(r"24 dB, cosine 0\.99\d\d, [23]\.\dx int8 rounding", usual.figure)
    doubtful = judge(noisy(0.17), EAGER, EXACT, rounding, precision="int8")
    assert doubtful.outcome is Outcome.INCONCLUSIVE
    assert re.search(r"x int8 rounding\), allowed .* \(6x\): more than int8 backends usually need", doubtful.sentence)
    broken = judge(noisy(0.35), EAGER, EXACT, rounding, precision="int8")
    assert broken.outcome is Outcome.FAIL
    assert "x int8 rounding), allowed" in broken.sentence


def test_int8_rounding_that_is_tiny_or_nothing_blames_nobody():
    assert judge(noisy(1e-3), EAGER, EXACT, noisy(1e-5), precision="int8").outcome is Outcome.PASS
    assert judge(noisy(0.01), EAGER, EXACT, noisy(1e-4), precision="int8").outcome is Outcome.INCONCLUSIVE
    assert judge(noisy(0.1), EAGER, EXACT, EXACT, precision="int8").outcome is Outcome.PASS
    assert judge(noisy(0.1), EAGER, EXACT, EAGER * torch.nan, precision="int8").outcome is Outcome.PASS


def test_a_large_common_part_hides_no_int8_error():
    off, usual, rounding = (noisy(size).float() + 100 for size in (0.9, 0.05, 0.02))
    found = judge(off, EAGER + 100, EXACT + 100, rounding, precision="int8")
    assert found.outcome is Outcome.FAIL
    assert "what varies among its rows has an SQNR of 0.5 dB" in found.sentence
    assert judge(usual, EAGER + 100, EXACT + 100, rounding, precision="int8").outcome is Outcome.PASS


def test_what_varies_is_told_where_int8_itself_loses_it():
    coarse, rounding = (noisy(size).float() + 100 for size in (0.9, 0.5))
    found = judge(coarse, EAGER + 100, EXACT + 100, rounding, precision="int8")
    assert found.outcome is Outcome.PASS
    assert found.figure.endswith("1.8x int8 rounding, 1 dB of what varies")


def test_rows_that_int8_cant_tell_apart_blame_no_backend():
    same = EXACT[:1, :1].expand(4, 6, 32)
    found = judge(noisy(0.05, same), same.float(), same, noisy(0.002, same), precision="int8")
    assert found.outcome is Outcome.INCONCLUSIVE  # as without the rule: 5 % is 25 times int8 rounding


# Tolerances of the mark


def test_rtol_and_atol_mean_what_assert_close_means():
    expected, actual = torch.tensor([1.0, 100.0]), torch.tensor([1.05, 100.5])
    for rtol, atol in [(0.01, None), (None, 0.1), (0.05, 0.01), (0.001, 0.4), (0.01, 0.04)]:
        try:
            torch.testing.assert_close(actual, expected, rtol=rtol or 0, atol=atol or 0)
            closeness = Outcome.PASS
        except AssertionError:
            closeness = Outcome.FAIL
        assert judge(actual, expected, **within(rtol=rtol, atol=atol)).outcome is closeness


def test_all_given_bounds_are_checked():
    actual = noisy(0.05)
    good = {"cosine": 0.99, "sqnr_db": 20, "top1": 0.5, "atol": 1.0}
    assert judge(actual, **within(**good)).outcome is Outcome.PASS
    for name, value in {"cosine": 0.9999, "sqnr_db": 40, "top1": 1.0, "atol": 1e-3}.items():
        assert judge(actual, **within(**{**good, name: value})).outcome is Outcome.FAIL, name


def test_top1_says_how_many_answers_agree():
    expected = torch.eye(4)
    actual = expected.clone()
    actual[0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    result = judge(actual, expected, **within(top1=0.9))
    assert result.sentence == (
        "'output' agrees in 75.00% of its top-1 answers (3 of 4 positions), at least 90.00% wanted"
    )


def test_outputs_can_have_tolerances_of_their_own():
    expected = {"logits": torch.ones(4), "hidden_states": (torch.ones(4), torch.ones(4))}
    actual = {"logits": torch.ones(4), "hidden_states": (torch.full((4,), 1.1), torch.full((4,), 1.1))}
    assert judge(actual, expected).outcome is Outcome.FAIL
    for pattern in ("hidden_states", "hidden_states.*", "h*"):
        assert judge(actual, expected, outputs={pattern: Tolerance(atol=0.2)}).outcome is Outcome.PASS
    exact_first = {"hidden*": Tolerance(atol=0.2), "hidden_states.1": Tolerance(atol=1e-3)}
    assert facts(judge(actual, expected, outputs=exact_first))["output"] == "hidden_states.1"


def test_only_the_outputs_asked_for_are_compared():
    actual, expected = {"a": torch.ones(2), "b": torch.ones(2)}, {"a": torch.ones(2), "c": torch.ones(2)}
    assert judge(actual, expected, only=("a",)).outcome is Outcome.PASS
    assert judge(actual, expected).outcome is Outcome.FAIL


@pytest.mark.parametrize("budget", [{"only": ("logit",)}, {"outputs": {"logit": Tolerance(atol=1)}}])
def test_an_output_that_is_not_there_is_a_usage_error(budget):
    with pytest.raises(UsageError, match="no output is named 'logit'; did you mean 'logits'"):
        judge({"logits": EAGER}, {"logits": EAGER}, **budget)


# Integers, bools and other objects


def test_integers_and_bools_must_be_equal_whatever_the_tolerance():
    for expected in (torch.tensor([1, 2, 3]), torch.tensor([True, False, True])):
        actual = expected.clone()
        actual[1] = ~actual[1]
        assert judge(expected.clone(), expected).figure == "equal"
        result = judge(actual, expected, **within(atol=100))
        assert result.outcome is Outcome.FAIL
        assert "'output' differs at [1]" in result.sentence
        assert "1 of 3 elements (33.3 %)" in lines(result)[0]


def test_a_narrower_integer_of_the_same_value_passes_with_a_note():
    result = judge(torch.tensor([1], dtype=torch.int32), torch.tensor([1]))
    assert result.outcome is Outcome.PASS
    assert "torch.int32" in lines(result)[0]


def test_arrays_and_text_are_compared_too():
    assert judge({"x": np.ones(3, np.float32), "label": "cat"}, {"x": torch.ones(3), "label": "cat"}).outcome == "PASS"
    result = judge({"label": "dog"}, {"label": "cat"})
    assert result.sentence == "'label' is 'dog', eager's is 'cat'"


def test_complex_outputs_are_compared():
    expected = torch.view_as_complex(torch.randn(8, 2))
    assert judge(expected.clone(), expected).outcome is Outcome.PASS
    assert judge(expected.conj(), expected).outcome is Outcome.FAIL


# Wrong forms


def test_a_wrong_shape_names_both():
    result = judge({"logits": torch.ones(2, 3)}, {"logits": torch.ones(2, 4)})
    assert result.sentence == "'logits' has shape (2, 3), eager's has (2, 4)"


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_in_place_of_a_padded_one_is_told():
    nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])
    result = judge({"logits": nested}, {"logits": torch.ones(2, 2, 3)})
    assert result.outcome is Outcome.FAIL
    assert result.sentence == "'logits' is a nested tensor, without padding; eager's has it"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.bool])
def test_a_wrong_dtype_names_both(dtype):
    result = judge({"logits": torch.ones(2).to(dtype)}, {"logits": torch.ones(2)})
    assert result.outcome is Outcome.FAIL
    assert result.sentence == f"'logits' has dtype {dtype}, eager's has torch.float32"


def test_missing_and_extra_outputs_are_named_with_what_there_was():
    missing = judge({"a": torch.ones(1)}, {"a": torch.ones(1), "b": torch.ones(1)})
    assert missing.sentence == "output 'b' is missing; the backend returned 'a'"
    extra = judge({"a": torch.ones(1), "c": torch.ones(1)}, {"a": torch.ones(1)})
    assert extra.sentence == "output 'c' is extra; eager returned 'a'"
    none = judge({"a": None}, {"a": torch.ones(1)})
    assert none.sentence == "'a' is None, eager's is a tensor of shape (1,)"


@pytest.mark.parametrize("output", [{}, (), None, {"a": None}, {"a": torch.ones(0, 4)}, {"a": object()}])
def test_nothing_compared_is_no_verdict(output):
    result = judge(output, output)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.compared_nothing
    assert "nothing was compared" in result.sentence


def test_all_padding_is_nothing_compared():
    inputs = Inputs(kwargs={"attention_mask": torch.zeros(4, 6)})
    result = judge(EAGER, inputs=inputs)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "nothing was compared" in result.sentence
    assert "all padding" in lines(result)[0]


# Padding


def test_padding_is_not_compared_unless_asked_for():
    mask = torch.ones(4, 6, dtype=torch.int64)
    mask[1:, 4:] = 0
    inputs = Inputs(kwargs={"attention_mask": mask})
    zeroed = EAGER * mask[..., None]
    zeroed[2, 5] = torch.nan
    kept = judge(zeroed, EAGER, EXACT, inputs=inputs)
    assert kept.outcome is Outcome.PASS
    assert facts(kept)["masked_elements"] == 3 * 2 * 32
    assert judge(zeroed, EAGER, EXACT, inputs=inputs, mask="").outcome is Outcome.FAIL
    assert judge(zeroed, EAGER, EXACT).outcome is Outcome.FAIL
    wrong = zeroed.clone()
    wrong[1, 3] = 0
    assert judge(wrong, EAGER, EXACT, inputs=inputs).outcome is Outcome.FAIL


# NaN and Inf


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("precision", list(Precision))
def test_nan_and_inf_that_eager_does_not_have_fail(value, precision):
    actual = EAGER.clone()
    actual[3, 1, 7] = value
    result = judge(actual, EAGER, EXACT, EAGER, precision=precision, **within(atol=1e9))
    assert result.outcome is Outcome.FAIL
    assert f"'output' is {value} at [3, 1, 7], where eager's is" in result.sentence
    assert any("1 actual, 0 expected" in line for line in lines(result))
    assert judge(EAGER, actual, actual.double()).outcome is Outcome.FAIL


def test_nan_that_eager_has_too_is_equal_with_a_note():
    broken, exact = EAGER.clone(), EXACT.clone()
    broken[0, 0, 0], broken[0, 0, 1] = math.nan, math.inf
    exact[0, 0, 0], exact[0, 0, 1] = math.nan, math.inf
    result = judge(broken.clone(), broken, exact)
    assert result.outcome is Outcome.PASS
    assert "2 elements are NaN or infinite in eager too" in lines(result)[0]
    opposite = broken.clone()
    opposite[0, 0, 1] = -math.inf
    assert judge(opposite, broken, exact).outcome is Outcome.FAIL


def test_eager_that_is_nan_throughout_leaves_nothing_to_compare():
    nan = torch.full((3,), math.nan)
    result = judge(nan, nan, nan.double())
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "nothing to compare: eager itself is NaN in all 3 elements" in result.sentence


def test_masked_scores_do_not_set_the_scale():
    """finfo.min differs by precision, and as a number it would hide every other difference."""
    expected, exact = EAGER.clone(), EXACT.clone()
    expected[0, 0, 0], exact[0, 0, 0] = torch.finfo(torch.float32).min, torch.finfo(torch.float64).min
    assert judge(expected.clone(), expected, exact).outcome is Outcome.PASS
    wrong = expected.clone()
    wrong[2] *= 1.1
    assert judge(wrong, expected, exact).outcome is Outcome.FAIL
    nothing_else = torch.full((4,), torch.finfo(torch.float32).min)
    assert "nothing to compare" in judge(nothing_else, nothing_else).sentence


# What a failure shows


def test_evidence_shows_how_many_where_both_values_and_the_tolerance_that_would_pass():
    expected = torch.tensor([[1.0, 2.0, 4.0], [0.5, -2.0, 8.0]])
    actual = expected.clone()
    actual[1, 1], actual[0, 2] = -2.5, 4.25
    result = judge({"logits": actual}, {"logits": expected}, **within(rtol=1e-3, atol=1e-3))
    text = "\n".join(lines(result))
    assert "'logits' differs by 5.0e-01 at [1, 1], allowed 3.0e-03 (rtol=0.001, atol=0.001)" in result.sentence
    assert "2 of 6 elements (33.3 %)" in text
    assert "worst at [1, 1]: actual -2.5, expected -2" in text
    assert "max abs difference 5.00e-01, max relative 2.50e-01" in text
    assert "atol=0.5 with rtol=0, or rtol=0.25 with atol=0" in text


@pytest.mark.parametrize("precision", list(Precision))
def test_the_tolerance_said_to_pass_passes_and_a_smaller_one_fails(precision):
    actual = noisy(0.7)
    for kind in ("atol", "rtol"):
        smallest = facts(judge(actual, EAGER, EXACT, EAGER, precision=precision))[f"smallest_{kind}"]
        assert judge(actual, **within(**{kind: smallest})).outcome is Outcome.PASS
        assert judge(actual, **within(**{kind: smallest * 0.99})).outcome is Outcome.FAIL


def test_facts_are_finite_scalars():
    zero = torch.zeros(4)
    for actual in (zero, zero + 1, zero * math.nan):
        found = facts(judge(actual, zero))
        assert found
        for value in found.values():
            assert isinstance(value, (str, int, float))
            assert not isinstance(value, float) or math.isfinite(value)


def test_the_worst_of_several_outputs_is_the_one_shown():
    expected = {"a": EAGER, "b": EAGER, "ids": torch.ones(3)}
    result = judge({"a": noisy(0.1), "b": noisy(0.3), "ids": torch.ones(3)}, expected)
    assert facts(result)["output"] == "b"
    assert result.sentence.endswith("(worst of 2 failing outputs)")
    many = {f"h{number}": EAGER for number in range(9)}
    assert "and 4 more failing outputs" in lines(judge({name: noisy(0.1) for name in many}, many))


# Hints


def test_swapped_outputs_are_recognised():
    a, b = EAGER, noisy(1.0)
    result = judge({"a": b, "b": a}, {"a": a, "b": b})
    assert any("'a' is what eager returns as 'b': were outputs swapped?" in line for line in lines(result))


def test_a_reordered_batch_is_recognised():
    result = judge(EAGER[[1, 0, 3, 2]])
    assert any("eager's rows [1, 0, 3, 2]" in line for line in lines(result))


def test_a_shift_by_one_position_is_recognised():
    result = judge(EAGER.roll(1, dims=1))
    assert any("shifted by one position" in line for line in lines(result))


def test_unrelated_values_get_no_hint():
    result = judge(noisy(0.5))
    assert not any(line.startswith("hint") for line in lines(result))


def hinted(*args, **kwargs):
    return " ".join(line for line in lines(judge(*args, **kwargs)) if line.startswith("hint"))


def test_outputs_of_two_shapes_that_are_swapped_are_recognised():
    a, b = torch.randn(4, 3), torch.randn(4, 5)
    assert "'a' is what eager returns as 'b'" in hinted({"a": b, "b": a}, {"a": a, "b": b})


def test_an_error_in_padded_rows_alone_points_at_the_mask():
    mask = torch.ones(4, 6, dtype=torch.int64)
    mask[1, 4:] = 0
    wrong = EAGER.clone()
    wrong[1] += torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
    inputs = Inputs(kwargs={"attention_mask": mask})
    assert "only rows with padding are off in 'output', 1: is attention_mask ignored" in hinted(wrong, inputs=inputs)
    assert "only 1 of 4 rows (1) of 'output' are off" in hinted(wrong)


def test_an_error_in_one_column_points_at_the_last_layer():
    wrong = EAGER.clone()
    wrong[..., 7] *= 1.001
    assert "only 1 of 32 columns (7) of 'output' are off" in hinted(wrong)


def test_an_error_from_some_position_on_is_placed():
    wrong = EAGER.clone()
    wrong[:, 4:] *= 1.5
    assert "off only at 2 of 6 positions (4, 5)" in hinted(wrong)


def test_a_wrong_scale_is_given():
    assert "'output' is eager's times 8" in hinted(EAGER * 8)


def test_a_small_error_everywhere_points_at_the_weights():
    assert "other weights look like this" in hinted(noisy(0.02))


def test_a_failing_int8_model_is_told_what_sound_ones_reach():
    assert "sound int8 models have 8 dB and more" in hinted(noisy(0.6), precision="int8")


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_eagers_own_answer_bit_for_bit_is_no_coarser_precisions(precision):
    result = judge(EAGER.clone(), EAGER, EXACT, EAGER, precision=precision)
    assert result.outcome is Outcome.FAIL
    assert f"0 of {EAGER.numel()} elements rounded otherwise: nothing ran in {precision}" in result.sentence
    one_off = EAGER.clone()
    one_off[0, 0, 0] *= 1 + 1e-6
    assert judge(one_off, EAGER, EXACT, EAGER, precision=precision).outcome is Outcome.PASS


def test_few_or_round_numbers_prove_no_pretence():
    few, whole = EAGER.flatten()[:7].clone(), torch.arange(64.0)
    for answer in (few, whole):
        assert judge(answer, precision="int8", expected=answer.clone()).outcome is Outcome.PASS
