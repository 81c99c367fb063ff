"""When two nested values are the same: what a recorder need not copy twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch

from pytest_cpuaccel.core import tree

MATRIX = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "value",
    [
        MATRIX,
        (MATRIX, {"mask": MATRIX.bool(), "flag": True}),
        OrderedDict(logits=MATRIX, hidden=(MATRIX, MATRIX)),
        [None, 1, "text"],
        torch.nn.Parameter(MATRIX),
    ],
)
def test_a_value_is_the_same_as_its_copy_until_one_element_changes(value: Any) -> None:
    copy = tree.clone(value) if not isinstance(value, torch.nn.Parameter) else torch.nn.Parameter(value.clone())
    assert tree.same(value, copy)
    for tensor in tree.tensors(copy):
        tensor.data[-1, -1] += 1
        assert not tree.same(value, copy)
        break


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MATRIX, MATRIX.double()),
        (MATRIX, MATRIX.t().contiguous().t()),
        (MATRIX, MATRIX.to_sparse()),
        (MATRIX, MATRIX.to("meta")),
        ((MATRIX,), [MATRIX]),
        ((MATRIX,), (MATRIX, MATRIX)),
        ({"a": MATRIX}, {"b": MATRIX}),
        (OrderedDict(a=MATRIX, b=MATRIX), OrderedDict(b=MATRIX, a=MATRIX)),
        (1, True),
        (torch.tensor([torch.nan]), torch.tensor([torch.nan])),
    ],
    ids=["dtype", "strides", "sparse", "device", "container", "length", "key", "order", "type", "nan"],
)
def test_values_that_a_model_could_tell_apart_are_not_the_same(one: Any, other: Any) -> None:
    assert not tree.same(one, other)


def test_what_is_not_looked_into_is_never_the_same() -> None:
    unknown = object()
    assert not tree.same(unknown, unknown)
