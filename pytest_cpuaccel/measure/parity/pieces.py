"""Pieces: tensors of one shape, cut alike into parts that fit a processor's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch

PIECE = 1 << 16
"""Elements of a piece: enough that calling an operator costs little beside its work, few enough for a cache."""


class Piece(NamedTuple):
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

    A piece is copied only where a tensor is not contiguous, or where its valid elements are several stretches.
    Cuts are made along dimensions, but for contiguous tensors all of which is valid, unless ``in_blocks``; ``in_rows``
    also keeps the last dimension whole, however long it is.
    """

    tensors: tuple[torch.Tensor | None, ...]
    valid: torch.Tensor
    in_rows: bool = False
    in_blocks: bool = False

    def __len__(self) -> int:
        axis, _ = self._cut
        return math.prod(self._shape[:axis]) * self._turns

    def __iter__(self) -> Iterator[Piece]:
        if not self._is_flat:
            return (self[number] for number in range(len(self)))
        _, step = self._cut
        parts = (repeat(None) if flat is None else torch.split(flat, step) for flat in self._flat)
        return (
            Piece(start, tuple(vectors))
            for start, *vectors in zip(range(0, self.valid.numel(), step), *parts, strict=False)
        )

    def __getitem__(self, number: int) -> Piece:
        start, stop = self._stretch(number)
        vectors = tuple(
            flat[start:stop] if flat is not None else self._vector(place, number)
            for place, flat in enumerate(self._flat)
        )
        return Piece(start, vectors) if self._all_valid else self._valid_part(start, stop, vectors)

    def block(self, number: int) -> tuple[slice, ...]:
        """Return which indices of each dimension a piece ``in_blocks`` has the elements of, if all are valid."""
        axis, step = self._cut
        lead, turn = divmod(number, self._turns)
        outer = place_in(self._shape[:axis], lead) if axis else ()
        last = min((turn + 1) * step, self._shape[axis])
        inner = (slice(0, size) for size in self._shape[axis + 1 :])
        return (*(slice(place, place + 1) for place in outer), slice(turn * step, last), *inner)

    @cached_property
    def count(self) -> int:
        """Return how many elements are valid."""
        base = without_repeats(self.valid)
        return int(base.sum()) * (self.valid.numel() // max(base.numel(), 1))

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return (self.valid.numel(),) if self._is_flat else tuple(self.valid.shape) or (1,)

    @cached_property
    def _is_flat(self) -> bool:
        is_free = not self.in_rows and not self.in_blocks and self._all_valid
        return is_free and all(item is None or item.is_contiguous() for item in self.tensors)

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
    def _turns(self) -> int:
        axis, step = self._cut
        return math.ceil(self._shape[axis] / step)

    @cached_property
    def _inner(self) -> int:
        return math.prod(self._shape[self._cut[0] + 1 :])

    @cached_property
    def _flat(self) -> tuple[torch.Tensor | None, ...]:
        return tuple(None if item is None or not item.is_contiguous() else item.view(-1) for item in self.tensors)

    @cached_property
    def _flags(self) -> tuple[np.ndarray, int]:
        """Which runs of elements that are valid alike are valid, and how long a run is; no piece begins within one.

        Or the piece lies within one.
        """
        base, outer = without_repeats(self.valid), self.valid.dim()
        while outer and base.shape[outer - 1] == 1:
            outer -= 1
        flags = base.reshape(base.shape[:outer]).expand(self.valid.shape[:outer])
        return flags.reshape(-1).numpy(), math.prod(self.valid.shape[outer:])

    def _stretch(self, number: int) -> tuple[int, int]:
        axis, step = self._cut
        lead, turn = divmod(number, self._turns)
        begin, first = lead * self._shape[axis], turn * step
        return (begin + first) * self._inner, (begin + min(first + step, self._shape[axis])) * self._inner

    def _vector(self, place: int, number: int) -> torch.Tensor | None:
        """The elements of a piece of a tensor that is not contiguous."""
        tensor = self.tensors[place]
        if tensor is None:
            return None
        return tensor.reshape(self._shape)[self.block(number)].reshape(-1)

    def _valid_part(self, start: int, stop: int, vectors: Sequence[torch.Tensor | None]) -> Piece:
        """Vectors without what is not valid: a part of them where that is one stretch, else a copy."""
        flags, length = self._flags
        runs = np.flatnonzero(flags[start // length : math.ceil(stop / length)])
        if stop - start <= length:  # within one run
            return Piece(start, tuple(vectors) if len(runs) else tuple(_narrowed(item, 0, 0) for item in vectors))
        first, last = (int(runs[0]), int(runs[-1]) + 1) if len(runs) else (0, 0)
        if len(runs) == last - first:
            narrowed = tuple(_narrowed(item, first * length, last * length) for item in vectors)
            return Piece(start + first * length, narrowed)
        chosen = torch.from_numpy(runs)
        return Piece(start, tuple(_selected(item, chosen, length) for item in vectors), chosen, length)


def everything(tensor: torch.Tensor) -> torch.Tensor:
    """Return that all elements of a tensor are valid."""
    return torch.tensor(True).expand(tensor.shape)


def without_repeats(tensor: torch.Tensor) -> torch.Tensor:
    """Return a view of an expanded tensor that has each of its elements once."""
    return tensor[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride())]


def place_in(shape: Sequence[int], number: int) -> tuple[int, ...]:
    """Return the index of element ``number`` of a tensor of this shape."""
    return tuple(int(index) for index in np.unravel_index(number, tuple(shape)))


def _narrowed(vector: torch.Tensor | None, start: int, stop: int) -> torch.Tensor | None:
    return None if vector is None else vector[start:stop]


def _selected(vector: torch.Tensor | None, runs: torch.Tensor, length: int) -> torch.Tensor | None:
    return None if vector is None else vector.view(-1, length).index_select(0, runs).view(-1)
