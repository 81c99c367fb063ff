"""Measures of error."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import BARS
from pytest_cpuaccel.judge.parity.defaults import widened
from pytest_cpuaccel.measure.parity import error

X = torch.tensor([3.0, 4.0], dtype=torch.float64)
ZERO = torch.zeros(2, dtype=torch.float64)


def test_errors_are_relative_to_the_reference():
    assert error.relative_rmse(X * 1.01, X) == pytest.approx(0.01)
    assert error.relative_max(X + 0.4, X) == pytest.approx(0.1)
    assert error.sqnr_db(X * 1.1, X) == pytest.approx(20)


def test_a_zero_reference_divides_nothing():
    assert error.relative_rmse(X, ZERO) == pytest.approx(error.rms(X))
    assert error.relative_max(X, ZERO) == 4
    assert error.cosine(X, ZERO) == 0
    assert error.cosine(ZERO, ZERO) == 1
    assert error.sqnr_db(ZERO, ZERO) == math.inf


def test_top1_counts_valid_positions_only_and_takes_either_of_two_equal_maxima():
    expected = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).double()
    actual = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).double()
    valid = torch.ones(3, 3, dtype=torch.bool)
    valid[2] = False
    assert error.top1_hits(actual, expected, valid).tolist() == [True, False]


def test_the_bar_is_k_for_ordinary_outputs_and_wider_for_few_elements():
    assert widened(10, 30) == widened(10, 10**6) == 10
    assert 10 < widened(10, 6) < widened(10, 2)


@pytest.mark.parametrize("elements", [1, 2, 3, 10])
def test_luck_with_few_elements_blames_a_right_backend_rarely(elements):
    """Errors five times eager's, independent: the widened bar is broken in about one of a thousand outputs."""
    generator = torch.Generator().manual_seed(elements)
    own, other = torch.randn(2, 40_000, elements, generator=generator, dtype=torch.float64)
    ratios = 5 * other.norm(dim=1) / own.norm(dim=1)
    assert float((ratios > widened(10, elements)).double().mean()) < 0.0016


def test_every_floating_precision_has_a_bar():
    assert set(BARS) == set(Precision) - {Precision.INT8}
