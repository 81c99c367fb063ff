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
    model = net(lambda y, x: ({answer}))
    cpu_model = cpu_accelerate(model)
    for x in (X, -X, X[:2]):
        with torch.no_grad():
            assert_equal(cpu_model(x), model(x))
"""
    )
    project.runpytest_inprocess("--cpu-backends=torchscript", "-W", "ignore").assert_outcomes(passed=1)


OF_VALUES = {
    "int": "y, int(x.sum())",
    "complex": "y, complex(float(x.sum()), 1)",
    "text": 'y, f"{float(x.sum()):.1f}"',
    "bytes": "y, str(float(x[0, 0])).encode()",
    "numpy-scalar": "y, np.float32(x.sum())",
    "array": "y, (x * 2).numpy()",
    "slice": "y, slice(0, int(x.sum()))",
    "range": "y, range(int(x.sum()))",
    "fraction": "y, fractions.Fraction(int(x.sum()), 7)",
    "decimal": "y, decimal.Decimal(int(x.sum()))",
    "set": "y, {int(x.sum())}",
    "frozenset": "y, frozenset([int(x.sum())])",
    "enum": "y, Sign.PLUS if float(x.sum()) > 0 else Sign.MINUS",
    "duration": "y, datetime.timedelta(seconds=float(x.sum()))",
    "dtype": "y, torch.int8 if float(x.sum()) > 0 else torch.int16",
    "device": "y, torch.device('cpu' if float(x.sum()) > 0 else 'meta')",
    "size": "y, torch.Size([abs(int(x.sum())), int(x.sum() > 0)])",
    "object": "y, Box(int(x.sum()))",
    "object-with-tensor": "y, Box(x * 2)",
    "none-or-tensor": "y, (None if x.sum() > 0 else x)",
    "tensor-or-none": "y, (x if x.sum() > 0 else None)",
    "key": '{"a": y, ("p" if x.sum() > 0 else "q"): x * 2}',
    "number-or-tensor": "y, (1 if x.sum() > 0 else x)",
    "more-tensors": "(y, x) if x.sum() > 0 else (y, x, x * 2)",
}


@pytest.mark.parametrize("answer", OF_VALUES.values(), ids=OF_VALUES)
def test_what_a_trace_froze_of_the_inputs_values_is_refused_also_without_a_mark(
    project: pytest.Pytester, answer: str
) -> None:
    project.makepyfile(
        MODELS
        + f"""
def test_it(cpu_accelerate):
    model = net(lambda y, x: ({answer}))
    cpu_model = cpu_accelerate(model)
    cpu_model(X)
    print("second")
    cpu_model(-X)
"""
    )
    result = project.runpytest_inprocess("--cpu-backends=torchscript", "-W", "ignore")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["torchscript: * as in the call it was built for*eager*depend*on the inputs*"])
    result.stdout.fnmatch_lines(["second"])


OF_SHAPES = {
    "text": 'y, f"rows={x.shape[0]}"',
    "complex": "y, complex(x.shape[0], 1)",
    "slice": "y, slice(0, x.shape[0])",
    "range": "y, range(x.shape[0])",
    "bytes": "y, str(x.shape[0]).encode()",
    "size": "y, x.shape",
    "none-or-tensor": "y, (None if x.shape[0] > 3 else x)",
    "key": '{"a": y, ("p" if x.shape[0] > 3 else "q"): x * 2}',
}


@pytest.mark.parametrize("answer", OF_SHAPES.values(), ids=OF_SHAPES)
def test_what_hangs_on_shapes_is_that_of_the_call(project: pytest.Pytester, answer: str) -> None:
    pytest.importorskip("onnxscript")
    project.makepyfile(
        MODELS
        + f"""
@pytest.mark.parity
def test_it(cpu_accelerate):
    model = net(lambda y, x: ({answer}))
    cpu_model = cpu_accelerate(model)
    for rows in (3, 5):
        with torch.no_grad():
            assert_equal(cpu_model(torch.ones(rows, 4)), model(torch.ones(rows, 4)))
"""
    )
    project.runpytest_inprocess("--cpu-backends=torchscript,ort", "-W", "ignore").assert_outcomes(passed=2)


def test_an_integer_that_no_tensor_holds_is_handed_out_and_compared(project: pytest.Pytester) -> None:
    project.makepyfile(
        MODELS
        + """
@pytest.mark.parity
def test_it(cpu_accelerate):
    assert cpu_accelerate(net(lambda y, x: (y, 1 << 70)))(X)[1] == 1 << 70
"""
    )
    project.runpytest_inprocess("--cpu-backends=eager,torchscript", "-W", "ignore").assert_outcomes(passed=2)
