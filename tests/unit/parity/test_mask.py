"""Which elements are padding."""

from __future__ import annotations

import pytest
import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.measure.parity.mask import mask_for, valid_elements

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def valid(name, *shape, mask=MASK):
    return valid_elements(name, torch.Size(shape), mask.bool())


def test_an_output_per_token_is_masked_by_its_first_two_dimensions():
    assert torch.equal(valid("last_hidden_state", 2, 4, 8)[..., 0], MASK.bool())


@pytest.mark.parametrize("name", ["start_logits", "end_logits", "token_scores"])
def test_a_score_per_token_is_masked(name):
    assert torch.equal(valid(name, 2, 4), MASK.bool())


@pytest.mark.parametrize("name", ["logits", "pooler_output", "0", "output"])
def test_an_answer_per_row_is_never_masked_even_if_it_is_as_long_as_the_sequence(name):
    assert valid(name, 2, 4).all()


@pytest.mark.parametrize("shape", [(2,), (2, 4), (2, 3, 5)])
def test_an_answer_to_a_row_of_padding_alone_is_masked(shape):
    rows = valid("pooler_output", *shape, mask=torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]]))
    assert rows[0].all()
    assert not rows[1].any()


@pytest.mark.parametrize("shape", [(2, 5, 8), (3, 4, 8), (2,), (), (2, 8, 4)])
def test_an_output_of_another_shape_is_not_masked(shape):
    assert valid("features", *shape).all()


@pytest.mark.parametrize(("name", "heads"), [("attentions.0", 3), ("attentions.0", 4), ("2.0", 3)])
def test_attentions_are_masked_at_padded_queries_and_not_at_keys(name, heads):
    attention = valid(name, 2, heads, 4, 4)
    assert torch.equal(attention[:, 0, :, 3], MASK.bool())


def test_the_mask_is_found_by_its_name_and_left_out_on_request():
    inputs = Inputs(kwargs={"attention_mask": MASK})
    assert torch.equal(mask_for("logits", inputs, None, ["logits"]), MASK.bool())
    assert mask_for("logits", inputs, "", ["logits"]) is None
    assert mask_for("logits", Inputs(kwargs={"attention_mask": None}), None, ["logits"]) is None


def test_a_mask_of_another_name_can_be_given():
    assert torch.equal(mask_for("out", Inputs(kwargs={"valid": MASK}), "valid", ["out"]), MASK.bool())


def test_a_mask_that_is_no_input_is_a_usage_error():
    with pytest.raises(UsageError, match=r"mask='vaild' is no input of the call; inputs: valid"):
        mask_for("out", Inputs(kwargs={"valid": MASK}), "vaild", ["out"])
    with pytest.raises(UsageError, match="is no mask"):
        mask_for("out", Inputs(kwargs={"valid": torch.ones(2)}), "valid", ["out"])


def test_an_additive_mask_is_not_taken_for_a_padding_mask():
    additive = torch.tensor([[0.0, -1e9]])
    assert mask_for("logits", Inputs(kwargs={"attention_mask": additive}), None, ["logits"]) is None


def test_an_encoder_decoder_masks_each_side_by_its_own_mask():
    decoder = torch.tensor([[1, 1, 0], [1, 1, 1]])
    both = Inputs(kwargs={"attention_mask": MASK, "decoder_attention_mask": decoder})
    names = ["logits", "encoder_last_hidden_state"]
    assert torch.equal(mask_for("encoder_last_hidden_state", both, None, names), MASK.bool())
    assert torch.equal(mask_for("logits", both, None, names), decoder.bool())
    assert mask_for("logits", Inputs(kwargs={"attention_mask": MASK}), None, names) is None


@pytest.mark.parametrize("name", ["src_key_padding_mask", "key_padding_mask"])
def test_torchs_own_masks_mark_padding_and_are_turned_over(name):
    padding = MASK == 0
    assert torch.equal(mask_for("output", Inputs(kwargs={"x": MASK, name: padding}), None, ["output"]), MASK.bool())
    assert mask_for("output", Inputs(kwargs={name: torch.zeros(2, 4)}), None, ["output"]) is None
    both = Inputs(kwargs={name: padding, "attention_mask": torch.ones(2, 4)})
    assert mask_for("output", both, None, ["output"]).all()
