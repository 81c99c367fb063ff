"""The error of a module's output, of all its tensors."""

from math import nan

import torch

from pytest_cpuaccel.diagnose.localize.error import worst_error

RIGHT = torch.arange(1.0, 5.0)
UNKNOWN = torch.tensor([1.0, nan])


def error_of(actual):
    right = (RIGHT, torch.ones(2))
    return worst_error(actual, right, tuple(each.double() for each in right), None)


def test_the_worst_tensor_counts():
    assert error_of((RIGHT, torch.ones(2))).ratio == 0
    assert error_of((RIGHT, torch.tensor([1.0, 2.0]))).ratio > 1e6


def test_a_wrong_tensor_tells_though_another_can_not_be_compared():
    right = (RIGHT, torch.ones(2))
    exact = (RIGHT.double(), UNKNOWN.double())
    assert worst_error((RIGHT + 1, torch.ones(2)), right, exact, None).ratio > 1e6
    assert worst_error((RIGHT, torch.ones(2)), right, exact, None) is None


def test_rows_of_several_lengths_are_compared_with_padded_ones_as_far_as_they_go():
    rows = [torch.ones(2, 3), torch.ones(4, 3)]
    nested = torch.nested.nested_tensor(rows)
    padded = torch.nested.to_padded_tensor(nested, 7.0)
    assert worst_error(padded, nested, nested.double(), None).ratio == 0
    padded[1, 3] = 2
    assert worst_error(padded, nested, nested.double(), None).ratio > 1e6
    assert worst_error(padded[:1], nested, nested.double(), None) is None
