"""The size of a vector: all that measures of error need of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

SMALL = 1e-14
"""Largest value below which the squares of a vector's elements may vanish in fp32."""


@dataclass
class Size:
    """The sum of its squares, and its largest absolute value; both NaN where something in it is NaN."""

    squares: float = 0.0
    largest: float = 0.0

    @staticmethod
    def of(values: torch.Tensor) -> Size:
        """Return the size of a vector, (n,), in its own precision."""
        return Size(torch.dot(values, values).item(), largest(values))

    @property
    def is_finite(self) -> bool:
        """Tell whether both are numbers."""
        return math.isfinite(self.squares) and math.isfinite(self.largest)

    def add(self, other: Size) -> None:
        """Take the elements of another vector in."""
        self.squares += other.squares
        self.largest = max(self.largest, other.largest)

    def rms(self, count: int) -> float:
        """Return the root mean square of ``count`` elements."""
        return math.sqrt(self.squares / count) if count else 0.0


def largest(values: torch.Tensor) -> float:
    """Return the largest absolute value of a vector, 0 of none, NaN where one is NaN.

    It is numpy that finds it: twice as fast as ``aminmax``.
    """
    array = values.numpy()
    if not array.size:
        return 0.0
    return max(float(array.max()), -float(array.min()))
