"""Outputs that are no tensors: numbers, text, arrays and objects, which an export writes down as they were."""

from __future__ import annotations

import pytest

MODELS = """
import dataclasses, datetime, decimal, enum, fractions, typing
import numpy as np
import pytest
import torch
from torch import nn

X = torch.arange(12.0).reshape(3, 4)

@dataclasses.dataclass
class Between:
    first: torch.Tensor
    count: int
    second: torch.Tensor

@dataclasses.dataclass
class Derived:
    first: torch.Tensor
    total: torch.Tensor = dataclasses.field(init=False)
    second: torch.Tensor = None

    def __post_init__(self):
        self.total = self.first.sum()

class Sign(enum.Enum):
    PLUS = 1
    MINUS = -1

class Box:
    def __init__(self, count):
        self.count = count

def net(answer):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.lin = nn.Linear(4, 4)

        def forward(self, x):
            return answer(self.lin(x), x)

    return Net().eval()

def leaves(value):
    if dataclasses.is_dataclass(value):
        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return [(name, leaf) for key, item in value.items() for name, leaf in [(key, None), *leaves(item)]]
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in leaves(item)]
    return [(None, value)]

def assert_equal(found, wanted):
    found, wanted = leaves(found), leaves(wanted)
    assert [key for key, _ in found] == [key for key, _ in wanted]
    for (_, one), (_, other) in zip(found, wanted):
        assert type(one) is type(other)
        torch.testing.assert_close(one, other) if isinstance(one, torch.Tensor) else None
        assert isinstance(one, torch.Tensor) or one == other

"""

BEFORE_TENSORS = {
    "first": "x.size(0), y",
    "between": "y, x.size(0), x * 2",
    "alone-before-two": "x.size(0), y, x * 2",
    "quotient": "y, x.size(0) / 2, x * 2",
    "length": "y, len(x), x * 2",
    "comparison": "y, x.size(0) > 2, x * 2",
    "dict": '{"y": y, "hw": tuple(x.shape), "z": x * 2}',
    "nested": '{"n": {"rows": x.shape[0], "y": y}, "m": [x.shape[1], x * 2]}',
    "dataclass": "Between(y, x.shape[0], x * 2)",
    "scalar-tensor": "y, x.size(0), x.sum()",
    "none": "None, x.size(0), y",
    "derived-field": "Derived(y, x * 2)",
}


@pytest.mark.parametrize("answer", BEFORE_TENSORS.values(), ids=BEFORE_TENSORS)
def test_tensors_stand_where_eager_has_them_whatever_numbers_stand_before_them(
    project: pytest.Pytester, answer: str
) -> None:
    project.makepyfile(
        MODELS
        + f"""
@pytest.mark.parity
def test_it(cpu_accelerate):
    model = net(lambda y, x: {answer if "(" == answer[0] or answer[0] in "{BD" else f"({answer})"})
    cpu_model = cpu_accelerate(model)
    for x in (X, -X, X[:2]):
        with torch.no_grad():
            assert_equal(cpu_model(x), model(x))
"""
    )
    project.runpytest_inprocess("--cpu-backends=torchscript", "-W", "ignore").assert_outcomes(passed=1)
