"""Places: the rows, columns and positions of an output in which elements are off."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from pytest_cpuaccel.measure.parity.pieces import Pieces, everything

ROWS, POSITIONS, COLUMNS = 0, 1, -1
"""The dimensions that are told apart: a batch, a sequence in it, and what the last layer has its outputs for."""

_FEW = 1024
"""Elements of a piece that are looked at first: where an output is off throughout, they tell."""


def places_off(
    actual: torch.Tensor, expected: torch.Tensor, valid: torch.Tensor, limit: float
) -> Mapping[int, list[int]]:
    """Return the indices along each of those dimensions at which a valid element is off by more than ``limit``.

    The tensors have one shape, of two dimensions or more, and finite elements.
    """
    off = {dimension: np.zeros(expected.shape[dimension], bool) for dimension in (ROWS, POSITIONS, COLUMNS)}
    pieces = Pieces((actual, expected, valid), everything(expected), in_blocks=True)
    for number in range(len(pieces)):
        block, vectors = pieces.block(number), pieces[number].vectors
        shape = [part.stop - part.start for part in block]
        count = math.prod(shape)
        for stop in (_FEW, count) if count > _FEW else (count,):
            unknown = [dimension for dimension, flags in off.items() if not flags[block[dimension]].all()]
            if not unknown:
                break
            found = np.zeros(count, bool)
            found[:stop] = _flags(vectors, stop, limit)
            for dimension in unknown:
                others = tuple(axis for axis in range(len(shape)) if axis != dimension % len(shape))
                off[dimension][block[dimension]] |= found.reshape(shape).any(axis=others)
    return {dimension: np.flatnonzero(flags).tolist() for dimension, flags in off.items()}


def _flags(vectors: tuple[torch.Tensor | None, ...], stop: int, limit: float) -> np.ndarray:
    """Which of the first ``stop`` elements are off."""
    actual, expected, valid = (None if vector is None else vector[:stop] for vector in vectors)
    assert actual is not None
    assert expected is not None
    assert valid is not None
    found: np.ndarray = (actual.double().sub(expected.double()).abs_().gt(limit) & valid).numpy()
    return found
