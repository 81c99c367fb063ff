"""Nearest neighbours among the rows of a matrix, by cosine similarity: how many of eager's the backend's rows keep."""

from __future__ import annotations

import torch

from pytest_cpuaccel.core.measurement.parity import Neighbours
from pytest_cpuaccel.core.rounding import FEWEST_ROWS, NEIGHBOURS_AMONG

MOST = 10
"""Neighbours of a row that are looked at."""

TIE = 1e-6
"""Difference of cosines that fp32 explains: either of two rows may then be the nearer one."""

_TELLING_TIES = 10
"""Times TIE by which a row's nearest rows have to be nearer than the farthest is, before their order says anything."""

_AT_ONCE = 1 << 22
"""Similarities held in memory at a time."""


def neighbours(actual: torch.Tensor, expected: torch.Tensor, valid: torch.Tensor) -> Neighbours | None:
    """Return how many of the nearest neighbours of each row are kept; None of anything but a matrix of real numbers.

    A row that is as near to all others under eager, as far as fp32 can tell, has no nearest ones, and doesn't count.
    All three have the output's shape (rows, dimensions); rows without a valid element don't count.
    """
    if expected.dim() != 2 or not expected.is_floating_point():
        return None
    chosen = valid.any(1)
    rows = int(chosen.sum())
    if rows < FEWEST_ROWS:
        return Neighbours(0, 0, 0, rows)
    nearest = min(MOST, (rows - 1) // NEIGHBOURS_AMONG)
    ours, eagers = (_directions(side[chosen]) for side in (actual, expected))
    parts = torch.split(torch.arange(rows), max(1, _AT_ONCE // rows))
    hits, telling = (
        sum(counts) for counts in zip(*(_kept(ours, eagers, part, nearest) for part in parts), strict=True)
    )
    return Neighbours(hits, telling * nearest, nearest, rows)


def _directions(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows.double().nan_to_num(), dim=1)


def _kept(actual: torch.Tensor, expected: torch.Tensor, part: torch.Tensor, nearest: int) -> tuple[int, int]:
    """How many of the backend's nearest rows to some are as near under eager as its own nearest, and of how many."""
    found = _similarities(actual, part).topk(nearest).indices
    wanted = _similarities(expected, part)
    least_near = wanted.topk(nearest).values[:, -1:]
    farthest = wanted.masked_fill(wanted.isneginf(), torch.inf).amin(1, keepdim=True)
    tells = least_near - farthest > _TELLING_TIES * TIE
    return int(((wanted.gather(1, found) >= least_near - TIE) & tells).sum()), int(tells.sum())


def _similarities(directions: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    found = directions[part] @ directions.T
    found[torch.arange(len(part)), part] = -torch.inf
    return found
