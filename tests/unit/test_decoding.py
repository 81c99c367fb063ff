"""What a step of ``generate()`` passes to a graph: told by what it is, not by what this transformers calls it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pytest_cpuaccel.backends.toolkit.decoding import completed, of_step
from pytest_cpuaccel.core.errors import BuildError
from tests.unit.test_kv_cache import Cache

IDS = torch.tensor([[0, 5, 6], [7, 8, 9]])


@pytest.mark.parametrize("name", ["past_key_values", "cache", "memory"])
@pytest.mark.parametrize("value", [None, Cache(0)])
def test_an_empty_cache_of_any_name_is_nothing(name: str, value: Any) -> None:
    assert list(of_step({"input_ids": IDS, name: value, "use_cache": False, "logits_to_keep": 1})) == ["input_ids"]


@pytest.mark.parametrize("name", ["past_key_values", "cache", "memory"])
def test_a_cache_with_tokens_in_it_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(BuildError, match=f"has no place for {name}"):
        completed(of_step({"input_ids": IDS, name: Cache(3)}), "index")


def test_tensors_of_any_name_and_constants_with_an_effect_stay() -> None:
    image = torch.zeros(2, 3)
    given = completed({"input_ids": IDS, "pixel_values": image, "logits_to_keep": 1, "use_cache": True}, "")
    assert list(given) == ["input_ids", "attention_mask", "pixel_values", "logits_to_keep"]


def test_positions_that_only_the_call_knows_have_to_be_given() -> None:
    with pytest.raises(BuildError, match="takes position_ids; none were given"):
        completed({"input_ids": IDS}, "given")
