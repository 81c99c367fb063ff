"""Running sums: a sum by one fp32 accumulator, one term after the other, as a plain loop makes it.

Eager adds in pairs, in lanes or in float64, and is more exact than fp32 arithmetic must be. An fp32 accumulator errs
by at most ``(N - 1) u`` of the sum of the terms' sizes, and by about ``sqrt(N) u`` where roundings are independent
(Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, sec. 4.2; u = 2**-24). Where they are not, it
errs far more: a million times 0.1 is off by 1e-2. A bound from N alone would either blame that or let a pooling in bf16
pass, whose error is 2e-3 on all data. So the running sum is computed, on the data at hand, and not estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

_AT_ONCE = 1 << 25
"""Products held in memory at a time."""


def running_sum(values: torch.Tensor, axes: Sequence[int], *, keepdim: bool = False) -> torch.Tensor:
    """Return the sum over ``axes`` (none: over all), by a plain loop.

    The loop runs from the first term to the last and the other way round; each element of the result is the less exact
    of the two, by a sum in float64.
    """
    axes = sorted({axis % values.dim() for axis in axes} or range(values.dim()))
    kept = [axis for axis in range(values.dim()) if axis not in axes]
    rows = values.permute(*kept, *axes).reshape(*(values.shape[axis] for axis in kept), -1)
    total = _less_exact(rows, rows.double().sum(-1))
    return total.reshape([1 if axis in axes else size for axis, size in enumerate(values.shape)]) if keepdim else total


def running_cumsum(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Return all partial sums along ``axis``."""
    return _loop(values.movedim(axis, -1)).movedim(-1, axis)


def running_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return ``left @ right`` of tensors (batch, m, n) and (batch, n, p), each element summed by a plain loop."""
    batch, rows, length = left.shape
    columns = right.shape[2]
    result = left.new_empty(batch, rows, columns)
    step = max(1, _AT_ONCE // max(1, length * columns))
    for item in range(batch):
        turned = right[item].T.contiguous()
        for start in range(0, rows, step):
            part = left[item, start : start + step]
            terms = part[:, None, :] * turned
            result[item, start : start + step] = _less_exact(terms, part.double() @ right[item].double())
    return result


def mean(values: torch.Tensor, axes: Sequence[int], *, keepdim: bool = False) -> torch.Tensor:
    """Return the mean over ``axes`` (none: over all) by a running sum."""
    return running_sum(values, axes, keepdim=keepdim) / length(values, axes)


def variance(
    values: torch.Tensor, axes: Sequence[int], *, correction: float = 0, keepdim: bool = False
) -> torch.Tensor:
    """Return the variance over ``axes`` by two running sums: that of the values, and that of the squared deviations."""
    squares = (values - mean(values, axes, keepdim=True)).square()
    return running_sum(squares, axes, keepdim=keepdim) / max(length(values, axes) - correction, 0)


def length(values: torch.Tensor, axes: Sequence[int]) -> int:
    """Return how many terms a sum over ``axes`` (none: over all) has."""
    return math.prod(values.shape[axis] for axis in axes) if axes else values.numel()


def _less_exact(terms: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    forth, back = _loop(terms)[..., -1], _loop(terms.flip(-1))[..., -1]
    return torch.where((forth - exact).abs() >= (back - exact).abs(), forth, back)


def _loop(terms: torch.Tensor) -> torch.Tensor:
    """Partial sums along the last dimension, each rounded to fp32; torch's own are summed in float64."""
    return torch.from_numpy(np.add.accumulate(terms.contiguous().numpy(), axis=-1))
