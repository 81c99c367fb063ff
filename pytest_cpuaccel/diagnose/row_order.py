"""The order of rows: which of eager's rows each row of an answer is."""

from __future__ import annotations

import torch

from pytest_cpuaccel.diagnose.likeness import most_apart
from pytest_cpuaccel.measure.parity.pieces import Pieces, everything

MOST_ROWS = 256
"""Rows compared each with each to find a permutation."""


def row_order(actual: torch.Tensor, expected: torch.Tensor, squares: float) -> list[int]:
    """Return the expected row that each actual row is, if the batch is a permutation of itself; else nothing.

    The tensors have one shape and finite elements; ``squares`` is the sum of those of ``expected``.
    """
    if expected.dim() < 2 or not 2 <= len(expected) <= MOST_ROWS:
        return []
    allowed = most_apart(squares, expected.numel())
    apart = torch.zeros(len(expected), len(expected), dtype=torch.float64)
    sides = (actual.movedim(0, -1), expected.movedim(0, -1))
    for piece in Pieces(sides, everything(sides[0]), in_rows=True):
        rows, wanted = (item.view(-1, len(expected)).T.double() for item in piece.vectors if item is not None)
        apart += torch.cdist(rows, wanted).square_()
        if _least_moved(apart) >= allowed:
            return []
    order: list[int] = apart.argmin(1).tolist()
    is_moved = sorted(order) == list(range(len(order))) != order
    return order if is_moved and float(apart.gather(1, torch.tensor(order)[:, None]).sum()) < allowed else []


def _least_moved(apart: torch.Tensor) -> float:
    """The least sum of squared distances of an order in which not every row stands where it stood."""
    least = apart.min(1).values
    others = apart.clone().fill_diagonal_(torch.inf).min(1).values
    return float(least.sum() + (others - least).min())
