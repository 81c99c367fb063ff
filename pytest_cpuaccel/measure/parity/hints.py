"""Hints: well-known ways of being wrong that the numbers themselves give away."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import BF16_ROUNDING
from pytest_cpuaccel.measure.parity.leaves import Pair

_ALIKE = 1e-2
"""Relative RMSE below which two tensors are taken to be the same thing."""

_MOST_ROWS = 256
"""Rows compared each with each to find a permutation."""


def hints(failing: Pair, pairs: tuple[Pair, ...], precision: Precision) -> Iterator[str]:
    """Yield what a failing output looks like; its tensors are floating-point and of one shape."""
    name, actual, expected = failing.name, failing.actual.double(), failing.expected.double()
    if not expected.numel() or not bool(actual.isfinite().all() and expected.isfinite().all()):
        return
    if not bool(actual.any()):
        yield f"hint: '{name}' is zero throughout"
        return
    for other in pairs:
        if other is not failing and _alike(actual, other.expected) and not _alike(expected, other.expected):
            yield f"hint: '{name}' is what eager returns as '{other.name}': were outputs swapped?"
    order = _row_order(actual, expected)
    if order:
        yield f"hint: the rows of '{name}' are eager's rows {order}: was the batch reordered?"
    if _is_shifted(actual, expected):
        yield f"hint: '{name}' equals eager's shifted by one position along dimension 1"
    off = error.relative_rmse(actual.flatten(), expected.flatten())
    if precision is Precision.FP32 and BF16_ROUNDING / 4 <= off <= BF16_ROUNDING * 16:
        yield (
            f"hint: an error of {off:.0e} is the size of bf16 rounding (2**-9 = {BF16_ROUNDING:.0e} for each "
            f"operation): did the model run in bf16?"
        )


def _alike(values: torch.Tensor, reference: torch.Tensor) -> bool:
    if values.shape != reference.shape or not reference.numel():
        return False
    return error.relative_rmse(values.double().flatten(), reference.double().flatten()) < _ALIKE


def _row_order(actual: torch.Tensor, expected: torch.Tensor) -> list[int]:
    """The expected row that each actual row is, if the batch is a permutation of itself; else empty."""
    if expected.dim() < 2 or not 2 <= len(expected) <= _MOST_ROWS:
        return []
    rows, wanted = actual.flatten(1), expected.flatten(1)
    order: list[int] = torch.cdist(rows, wanted).argmin(1).tolist()
    moved = sorted(order) == list(range(len(order))) and order != list(range(len(order)))
    return order if moved and _alike(rows, wanted[order]) else []


def _is_shifted(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    if expected.dim() < 2 or expected.shape[1] < 3 or _alike(expected[:, 1:], expected[:, :-1]):
        return False
    return _alike(actual[:, 1:], expected[:, :-1]) or _alike(actual[:, :-1], expected[:, 1:])
