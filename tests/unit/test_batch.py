"""How many items a call answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.evaluation.batch import batch_size


def size(*args: Any, output: Any = None, method: Any = "forward", **kwargs: Any) -> int:
    return batch_size(Call(method, Inputs(args, kwargs), output))


def test_it_is_the_first_dimension_of_what_goes_in_and_comes_out() -> None:
    ids = torch.ones(8, 128, dtype=torch.long)
    assert size(input_ids=ids, attention_mask=ids, output={"logits": torch.ones(8, 3)}) == 8
    assert size(np.ones((4, 2)), output=torch.ones(4)) == 4


def test_what_is_given_once_for_all_items_does_not_count() -> None:
    assert size(torch.ones(8, 5), torch.arange(5)[None], torch.tensor(0.5), output=torch.ones(8)) == 8


def test_one_item_is_a_batch_of_one() -> None:
    assert size(torch.ones(1, 3, 8, 8), output=torch.ones(1, 10)) == 1


def test_generated_sequences_may_be_more_than_prompts() -> None:
    assert size(torch.ones(2, 5), method="generate", output=torch.ones(6, 9)) == 2


@pytest.mark.parametrize(
    ("inputs", "output", "words"),
    [
        (
            [torch.ones(3, 4), torch.ones(5, 4)],
            torch.ones(3),
            "inputs start with 3 and 5; use p50= instead$",
        ),
        (["text"], torch.ones(3), "the inputs are tensors without dimensions; use p50= instead$"),
        ([torch.tensor(1.0)], torch.ones(3), "tensors without dimensions; use p50= instead$"),
        ([torch.ones(16)], torch.ones(4), "inputs start with 16, the first output with 4; use p50= instead$"),
    ],
)
def test_without_a_batch_it_is_refused(inputs: list[Any], output: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        size(*inputs, output=output)
