"""Pieces: tensors of one shape, cut alike into parts that fit a processor's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

PIECE = 1 << 16
"""Elements of a piece: enough that calling an operator costs little beside its work, few enough for a cache."""

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Piece:
    """``vectors`` hold the valid elements of each tensor in one stretch of its elements, which begins at ``start``.

    Where not all are valid, ``runs`` are the numbers of those runs of ``length`` elements that are.
    """

    start: int
    vectors: tuple[torch.Tensor | None, ...]
    runs: torch.Tensor | None = None
    length: int = 1

    def place(self, number: int) -> int:
        """Return where the vectors' element ``number`` stands among all elements of the tensor."""
        if self.runs is None:
            return self.start + number
        return self.start + int(self.runs[number // self.length]) * self.length + number % self.length


@dataclass(frozen=True)
class Pieces:
    """Pieces of tensors that have the shape of ``valid``, which may be expanded; None stays None.

    A piece is copied only where a tensor is not contiguous, or where some of its elements are not valid. ``in_rows``
    keeps the last dimension whole, however long it is.
    """

    tensors: tuple[torch.Tensor | None, ...]
    valid: torch.Tensor
    in_rows: bool = False

    def __len__(self) -> int:
        axis, step = self._cut
        return math.prod(self._shape[:axis]) * math.ceil(self._shape[axis] / step)

    def __iter__(self) -> Iterator[Piece]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Piece:
        index, start, stop = self._stretch(number)
        if self._all_valid:
            return Piece(start, tuple(self._vector(place, index, start, stop) for place in range(len(self.tensors))))
        valid = self.valid.reshape(self._shape)[index]
        runs, length = _runs(valid)
        if runs is not None and not len(runs):
            return Piece(start, tuple(None if item is None else item.new_empty(0) for item in self.tensors))
        vectors = (self._vector(place, index, start, stop) for place in range(len(self.tensors)))
        return Piece(start, tuple(_selected(vector, runs, length) for vector in vectors), runs, length)

    @cached_property
    def count(self) -> int:
        """Return how many elements are valid."""
        base = without_repeats(self.valid)
        return int(base.sum()) * (self.valid.numel() // max(base.numel(), 1))

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.valid.shape) or (1,)

    @cached_property
    def _all_valid(self) -> bool:
        return bool(without_repeats(self.valid).all())

    @cached_property
    def _cut(self) -> tuple[int, int]:
        """The outermost axis a step along which fits into a piece, and how many steps one takes."""
        shape = self._shape
        axis = next(axis for axis in range(len(shape)) if math.prod(shape[axis + 1 :]) <= PIECE)
        if self.in_rows and axis == len(shape) - 1:
            return (axis, shape[axis]) if axis == 0 else (axis - 1, 1)
        most = max(1, PIECE // max(1, math.prod(shape[axis + 1 :])))
        return axis, max(1, math.ceil(shape[axis] / max(1, math.ceil(shape[axis] / most))))

    @cached_property
    def _flat(self) -> tuple[torch.Tensor | None, ...]:
        return tuple(None if item is None or not item.is_contiguous() else item.view(-1) for item in self.tensors)

    def _stretch(self, number: int) -> tuple[Index, int, int]:
        axis, step = self._cut
        lead, turn = divmod(number, math.ceil(self._shape[axis] / step))
        first, last = turn * step, min((turn + 1) * step, self._shape[axis])
        inner = math.prod(self._shape[axis + 1 :])
        outer = tuple(int(item) for item in np.unravel_index(lead, self._shape[:axis])) if axis else ()
        begin = lead * self._shape[axis]
        return (*outer, slice(first, last)), (begin + first) * inner, (begin + last) * inner

    def _vector(self, place: int, index: Index, start: int, stop: int) -> torch.Tensor | None:
        flat, tensor = self._flat[place], self.tensors[place]
        if flat is not None:
            return flat[start:stop]
        return None if tensor is None else tensor.reshape(self._shape)[index].reshape(-1)


def without_repeats(tensor: torch.Tensor) -> torch.Tensor:
    """Return a view of an expanded tensor that has each of its elements once."""
    return tensor[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride())]


def place_in(shape: Sequence[int], number: int) -> tuple[int, ...]:
    """Return the index of element ``number`` of a tensor of this shape."""
    return tuple(int(index) for index in np.unravel_index(number, tuple(shape)))


def _runs(valid: torch.Tensor) -> tuple[torch.Tensor | None, int]:
    """The runs of elements that are valid alike: the numbers of the valid ones, None for all; and their length."""
    base = without_repeats(valid)
    if bool(base.all()):
        return None, 1
    outer = valid.dim()
    while outer and base.shape[outer - 1] == 1:
        outer -= 1
    length = math.prod(valid.shape[outer:])
    flags = base.reshape(base.shape[:outer]).expand(valid.shape[:outer])
    return flags.reshape(-1).nonzero()[:, 0], length


def _selected(vector: torch.Tensor | None, runs: torch.Tensor | None, length: int) -> torch.Tensor | None:
    if vector is None or runs is None:
        return vector
    return vector.view(-1, length).index_select(0, runs).view(-1)
