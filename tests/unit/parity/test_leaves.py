"""Which outputs are held to which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pytest_cpuaccel.measure.parity.leaves import pair_leaves


def names(pairing):
    return [pair.name for pair in pairing.pairs]


def test_outputs_are_paired_by_name_whatever_their_order():
    a, b = torch.tensor([1.0]), torch.tensor([2.0])
    pairing = pair_leaves({"b": b, "a": a}, {"a": a, "b": b})
    assert all(torch.equal(pair.actual, pair.expected) for pair in pairing.pairs)
    assert not pairing.notes


def test_outputs_without_names_are_paired_by_position_and_the_pairing_says_so():
    expected = {"logits": torch.zeros(2), "hidden_states": (torch.ones(3), torch.ones(4))}
    pairing = pair_leaves((torch.zeros(2), (torch.ones(3), torch.ones(4))), expected)
    assert names(pairing) == ["logits", "hidden_states.0", "hidden_states.1"]
    assert "backend's have no names" in pairing.notes[0]


def test_a_bare_tensor_is_paired_with_a_single_named_output():
    pairing = pair_leaves(torch.zeros(2), {"logits": torch.zeros(2)})
    assert names(pairing) == ["logits"]
    assert pairing.notes


def test_other_names_are_missing_and_extra_not_matched_by_position():
    pairing = pair_leaves({"linear_13": torch.zeros(2)}, {"logits": torch.zeros(2)})
    assert (pairing.missing, pairing.extra) == (("logits",), ("linear_13",))


@pytest.mark.parametrize("with_cache", [True, False])
def test_the_cache_is_state_and_not_compared(with_cache):
    cache = ((torch.zeros(1), torch.zeros(1)),)
    expected = {"logits": torch.zeros(2), "past_key_values": cache, "scores": torch.ones(2)}
    assert names(pair_leaves(expected, expected)) == ["logits", "scores"]
    nameless = (torch.zeros(2), cache, torch.ones(2)) if with_cache else (torch.zeros(2), torch.ones(2))
    pairing = pair_leaves(nameless, expected)
    assert names(pairing) == ["logits", "scores"]
    assert not pairing.missing
    assert not pairing.extra


def test_a_cache_object_without_a_name_is_state_too():
    class Cache:
        def get_seq_length(self):
            return 3

    assert names(pair_leaves((torch.zeros(2), Cache()), (torch.zeros(2), Cache()))) == ["0"]


def test_dataclasses_arrays_and_numbers_are_outputs_as_well():
    @dataclass
    class Output:
        scores: object
        count: object

    pairing = pair_leaves(Output(np.ones(3, np.float32), 3), Output(torch.ones(3), 3))
    assert [pair.actual.dtype for pair in pairing.pairs] == [torch.float32, torch.int64]


def test_an_output_that_is_none_on_one_side_only_is_still_seen():
    pairing = pair_leaves({"a": None}, {"a": torch.zeros(1)})
    assert pairing.pairs[0].actual is None
    assert pair_leaves({"a": torch.zeros(1), "b": None}, {"a": torch.zeros(1)}).extra == ()
