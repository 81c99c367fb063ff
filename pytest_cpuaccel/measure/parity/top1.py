"""Top-1 answers: in how many positions the largest entry of the last dimension stands in the same place."""

from __future__ import annotations

import numpy as np
import torch

from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.pieces import Pieces, without_repeats


def top1_share(actual: torch.Tensor, expected: torch.Tensor, valid: torch.Tensor) -> Share | None:
    """Return the share of positions with a valid element that agree; None for tensors that have no such positions.

    All three have the output's shape. Either of two equal maxima agrees with the other. NaN counts as 0.
    """
    if not expected.is_floating_point() or expected.dim() == 0 or expected.shape[-1] < 2:
        return None
    if without_repeats(valid).shape[-1] > 1:  # a mask that cuts positions
        return _share(error.top1_hits(_numbers(actual), _numbers(expected), valid))
    total = Share(0, 0)
    for piece in Pieces((actual, expected), valid, in_rows=True):
        rows = [item.view(-1, expected.shape[-1]) for item in piece.vectors if item is not None]
        total += _of_rows(*rows)
    return total


def _of_rows(actual: torch.Tensor, expected: torch.Tensor) -> Share:
    """By numpy, which finds an argmax several times as fast as torch does."""
    if not len(actual):
        return Share(0, 0)
    given, wanted = _array(actual), _array(expected)
    chosen = given.argmax(-1)[:, None]
    best = wanted.max(-1)
    if not (np.isfinite(np.take_along_axis(given, chosen, -1)).all() and np.isfinite(best).all()):
        return _share(error.top1_hits(_numbers(actual), _numbers(expected), torch.tensor(True).expand(actual.shape)))
    hits = np.take_along_axis(wanted, chosen, -1)[:, 0] == best
    return Share(int(hits.sum()), len(hits))


def _array(rows: torch.Tensor) -> np.ndarray:
    return (rows if rows.dtype in (torch.float32, torch.float64) else rows.float()).numpy()


def _numbers(values: torch.Tensor) -> torch.Tensor:
    return values.double().nan_to_num()


def _share(hits: torch.Tensor) -> Share:
    return Share(int(hits.sum()), hits.numel())
