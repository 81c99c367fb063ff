"""The spread of an output: by how much its rows differ from one another."""

from __future__ import annotations

import math

import torch

FEWEST = 8
"""Rows from which on their mean is known well enough: an eighth of their variance goes into it."""

_AT_ONCE = 1 << 20
"""Elements held in fp64 at a time."""


def spread(expected: torch.Tensor, valid: torch.Tensor) -> float | None:
    """Return the root mean square of a tensor's rows about their mean; None of few rows, and where it is not finite.

    Rows are those of a matrix, or the tokens (batch, sequence) of an output (batch, sequence, dimensions).
    """
    if expected.dim() not in (2, 3) or not expected.is_floating_point():
        return None
    rows = expected.reshape(-1, expected.shape[-1])
    chosen = valid.any(-1).reshape(-1).nonzero().flatten()
    if len(chosen) < FEWEST or not rows.shape[1]:
        return None
    parts = torch.split(chosen, max(1, _AT_ONCE // rows.shape[1]))
    mean = sum(rows[part].double().sum(0) for part in parts) / len(chosen)
    squares = sum(float((rows[part].double() - mean).square().sum()) for part in parts)
    found = math.sqrt(squares / (len(chosen) * rows.shape[1]))
    return found if math.isfinite(found) else None
