"""The size of a vector, for measures of error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from pytest_cpuaccel.core.measurement.parity import Size

SMALL = 1e-14
"""Largest value below which the squares of a vector's elements may vanish in fp32."""


class Vector(NamedTuple):
    """A vector, (n,), for torch and the same memory for numpy.

    torch makes sums, on the threads that it was given. Whatever goes element by element is quicker in numpy, and a call
    of it costs less.
    """

    values: torch.Tensor
    array: np.ndarray

    @staticmethod
    def of(values: torch.Tensor) -> Vector:
        """Return a tensor as one."""
        return Vector(values, values.numpy())

    @property
    def size(self) -> Size:
        """Return its size, in its own precision."""
        return Size(torch.dot(self.values, self.values).item(), peak(self.array))


def largest(values: torch.Tensor) -> float:
    """Return the largest absolute value of a vector, 0 of none, NaN where one is NaN."""
    return peak(values.numpy())


def peak(array: np.ndarray) -> float:
    """Return the same of an array. It is numpy that finds it: twice as fast as ``aminmax``."""
    if not array.size:
        return 0.0
    return max(float(np.maximum.reduce(array)), -float(np.minimum.reduce(array)))
