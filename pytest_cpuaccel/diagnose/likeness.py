"""Likeness: how alike two tensors of one shape are, all elements of which are finite.

Sums are calculated in fp64, piece by piece, so that nothing of a tensor's size stands in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from pytest_cpuaccel.measure.parity.pieces import Pieces, everything
from pytest_cpuaccel.measure.parity.size import largest

ALIKE = 1e-2
"""Relative RMSE below which two tensors are taken to be the same thing."""


@dataclass(frozen=True)
class Likeness:
    """Sums over ``count`` elements: of the squares of values, reference and difference, and of their products."""

    count: int
    values: float
    reference: float
    difference: float
    product: float

    @staticmethod
    def of(values: torch.Tensor, reference: torch.Tensor) -> Likeness:
        """Return that of values to a reference."""
        sums = torch.zeros(4, dtype=torch.float64)
        for one, other in in_fp64(values, reference):
            dots = [torch.dot(one, one), torch.dot(other, other), torch.dot(one, other)]
            one.sub_(other)
            sums += torch.stack([*dots[:2], torch.dot(one, one), dots[2]])
        return Likeness(reference.numel(), *sums.tolist())

    @property
    def is_plain(self) -> bool:
        """Return whether the sums alone show that all elements are finite, and the values not zero throughout."""
        return 0 < self.values < math.inf and self.reference < math.inf

    @property
    def relative_rmse(self) -> float:
        """Return ``RMS(values - reference) / RMS(reference)``."""
        return self._relative(self.difference)

    @property
    def sqnr_db(self) -> float:
        """Return the signal-to-noise ratio in dB."""
        return -20 * math.log10(self.relative_rmse) if self.difference else math.inf

    @property
    def cosine(self) -> float:
        """Return the cosine of the angle between both; 1 if both are zero, 0 if one is."""
        lengths = math.sqrt(self.values) * math.sqrt(self.reference)
        return max(-1.0, min(1.0, self.product / lengths)) if lengths else float(self.difference == 0)

    @property
    def factor(self) -> float:
        """Return what the reference is to be multiplied by to come closest to the values."""
        return self.product / (self.reference or 1.0)

    @property
    def beyond_factor(self) -> float:
        """Return the relative RMSE of the values over that factor."""
        factor = self.factor or 1.0
        return self._relative(max(0.0, self.values / factor**2 - 2 * self.product / factor + self.reference))

    def _relative(self, squares: float) -> float:
        return math.sqrt(squares / self.count) / (math.sqrt(self.reference / self.count) or 1.0)


def alike(values: torch.Tensor, reference: torch.Tensor, most: float | None = None) -> bool:
    """Tell whether the relative RMSE of two tensors, of one shape or not, is below ``ALIKE``.

    ``most`` is a number that the reference's sum of squares doesn't exceed, which saves a look at all of it.
    """
    if values.shape != reference.shape or not reference.numel():
        return False
    bound = most_apart(squares(reference) if most is None else max(most, float(reference.numel())), reference.numel())
    apart = 0.0
    for one, other in in_fp64(values, reference):
        one.sub_(other)
        apart += torch.dot(one, one).item()
        if apart >= bound:
            return False
    return apart < (bound if most is None else most_apart(squares(reference), reference.numel()))


def most_apart(reference: float, count: int) -> float:
    """Return the sum of squared differences of tensors that are just not alike, by the reference's sum of squares."""
    return ALIKE**2 * (reference or count)


def squares(tensor: torch.Tensor) -> float:
    """Return the sum of the squares of all elements."""
    return sum(torch.dot(vector, vector).item() for (vector,) in in_fp64(tensor))


def peak(tensor: torch.Tensor) -> float:
    """Return the largest absolute value, 0 of none; NaN or infinite where an element is."""
    found = 0.0
    for piece in Pieces((tensor,), everything(tensor)):
        vector = piece.vectors[0]
        assert vector is not None
        size = largest(vector if vector.dtype is torch.float64 else vector.float())
        if not math.isfinite(size):
            return size
        found = max(found, size)
    return found


def in_fp64(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield the elements of tensors of one shape by pieces, (n,), in memory that the next piece is written to."""
    rooms: list[torch.Tensor] = []
    for piece in Pieces(tensors, everything(tensors[0])):
        vectors = [vector for vector in piece.vectors if vector is not None]
        rooms = rooms or [torch.empty(len(vector), dtype=torch.float64) for vector in vectors]
        yield tuple(room[: len(vector)].copy_(vector) for room, vector in zip(rooms, vectors, strict=True))
