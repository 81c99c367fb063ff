"""The figures of pieces: what measures of error need to know of the elements that are compared.

They are dot products and maxima, found of one piece after the other, so that what is calculated stays in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from pytest_cpuaccel.core.measurement.parity import Size
from pytest_cpuaccel.measure.parity.size import SMALL, Vector, largest, peak

SIDES = ("actual", "expected", "rounding", "running")
"""The answers whose distance from the reference is measured."""

NEAR = 1e-6
"""Relative difference of fp32 figures below which fp64 tells which is the larger."""

_DIFFERENCE, _ACTUAL, _EXPECTED, _EXACT, _OFF = range(5)
_VECTORS = _OFF + len(SIDES)

_LOST = 1e-3
"""Share of what eager is off below which what an answer is off can't be found in fp32 by way of eager."""

_MUCH = 0.9
"""Share of the most that any element has used of a limit, up to which it doesn't count how much others use."""

_FEW = 0.1
"""Share of a piece up to which it is quicker to pick its elements out than to calculate with all."""

_ALIKE = 1e-5
"""Relative difference up to which eager's fp64 has the size of its fp32."""

_CLOSE = 0.01
"""Share of eager's squares that those of the differences stay below where they tell the squares of the answer."""


class Figures:
    """Sizes of the difference, of both sides, of eager's fp64, and of what each of ``SIDES`` is off the reference.

    Each is kept by piece: ``squares`` and ``largest`` are (pieces, vectors), ``products``, of both sides, and
    ``shares`` are (pieces,). A share is the most that an element uses of what ``limit``, an rtol and an atol, allows,
    or a bound to that; 0 without a limit.
    """

    def __init__(self, pieces: int, limit: tuple[float, float] | None) -> None:
        self.squares, self.largest = np.zeros((2, pieces, _VECTORS))
        self.products, self.shares = np.zeros((2, pieces))
        self._limit = limit
        self._most_used = 0.0
        self._rooms: dict[tuple[str, torch.dtype], Vector] = {}

    def take(
        self,
        number: int,
        actual: torch.Tensor,
        expected: torch.Tensor,
        others: Sequence[torch.Tensor | None],
        exact: torch.Tensor | None,
    ) -> None:
        """Find those of a piece, vectors (n,) of one type but for ``exact``; ``others`` are the rest of ``SIDES``."""
        for kept in (self.squares, self.largest, self.products, self.shares):
            kept[number] = 0.0
        if not expected.numel():
            return
        given, wanted = self._widened("actual", actual), self._widened("expected", expected)
        self._take_sides(number, given, wanted)
        reference = None if exact is None else self._widened("exact", exact)
        apart = None if reference is None else self._take_exact(number, given, wanted, reference)
        for place, values in enumerate(others, 2):
            if values is not None:
                size = self._off(self._widened(SIDES[place], values), wanted, reference, apart).size
                self._keep(number, _OFF + place, size)

    def _take_sides(self, number: int, actual: Vector, expected: Vector) -> None:
        difference = self._difference(actual, expected)
        apart, own = difference.size, expected.size
        inner = torch.dot(difference.values, expected.values).item() if apart.squares < _CLOSE * own.squares else None
        size, product = _of_actual(actual, expected) if inner is None else _by_eager(own.squares, apart.squares, inner)
        self.products[number] = product
        for place, found in ((_DIFFERENCE, apart), (_OFF, apart), (_EXPECTED, own), (_EXACT, own), (_ACTUAL, size)):
            self._keep(number, place, found)
        if self._limit is not None:
            self.shares[number] = self._share(difference, expected, apart.largest)

    def _take_exact(self, number: int, actual: Vector, expected: Vector, exact: Vector) -> Vector:
        """What the reference is apart from eager; the difference of both sides lies in its room."""
        apart = self._apart(expected, exact)
        self._keep(number, _OFF, _beyond(self._room("difference", expected), apart, actual, exact).size)
        own = apart.size
        self._keep(number, _OFF + 1, own)
        if own.largest > _ALIKE * self.largest[number, _EXPECTED]:
            self._keep(number, _EXACT, exact.size)
        return apart

    def _keep(self, number: int, place: int, size: Size) -> None:
        self.squares[number, place], self.largest[number, place] = size

    def _off(self, values: Vector, expected: Vector, exact: Vector | None, apart: Vector | None) -> Vector:
        difference = self._difference(values, expected)
        return difference if exact is None or apart is None else _beyond(difference, apart, values, exact)

    @property
    def peaks(self) -> np.ndarray:
        """The largest difference of each piece, (pieces,)."""
        return self.largest[:, _DIFFERENCE]

    def sizes(self) -> list[Size]:
        """Return the sizes of all vectors over all pieces."""
        squares, peaks = self.squares.sum(0).tolist(), self.largest.max(0, initial=0.0).tolist()
        return [Size(*both) for both in zip(squares, peaks, strict=True)]

    def most_used(self, rtol: float, atol: float) -> np.ndarray:
        """Return what an element of each piece, (pieces,), uses of ``atol + rtol * |expected|`` at most."""
        if self._limit is None or self._limit[0] != rtol or (atol == 0 != self._limit[1]):
            bound = self.peaks / atol if atol > 0 else np.where(self.peaks > 0, math.inf, 0.0)
        else:
            bound = self.shares * (1.0 if self._limit[1] <= atol else self._limit[1] / atol)
        return bound * (1 + NEAR)

    def refine(self, both: Callable[[int], tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Find the largest difference of all from ``both`` sides of its piece in fp64, as fp32 rounds it."""
        known = 0.0
        for number in np.argsort(-self.peaks, kind="stable").tolist():
            if self.peaks[number] <= known:
                break
            actual, expected = both(number)
            known = self.peaks[number] = max(known, largest(actual.sub_(expected)))

    def below(self, values: torch.Tensor, limit: float) -> torch.Tensor:
        """Return the places of the elements of a vector in fp32 or less whose size is below a limit."""
        sizes = self._room_of("share", values.numel(), torch.float32).array
        np.abs(self._widened("expected", values).array, out=sizes)
        return torch.from_numpy(np.flatnonzero(sizes < limit))

    def beyond(
        self, actual: torch.Tensor, expected: torch.Tensor, rtol: float, atol: float
    ) -> tuple[int, torch.Tensor]:
        """Return how many elements of a piece are surely off by more than ``atol + rtol * |expected|``.

        And the places of those that lie too near to it for fp32 to tell.
        """
        given, wanted = self._widened("actual", actual), self._widened("expected", expected)
        off = self._difference(given, wanted).array
        np.abs(off, out=off)
        limit: np.ndarray | float = atol
        if rtol:
            limit = np.abs(wanted.array, out=self._room("share", wanted).array)
            limit *= rtol
            limit += atol
        surely = off > limit * (1 + 2 * NEAR)
        possibly = off > limit * (1 - 2 * NEAR)
        count, most = int(np.count_nonzero(surely)), int(np.count_nonzero(possibly))
        near = np.flatnonzero(surely != possibly) if count != most else np.empty(0, np.int64)
        return count, torch.from_numpy(near)

    def doubtful(self) -> list[int]:
        """Return the numbers of the pieces for which fp32 is not exact enough.

        Something in them is infinite, or so small that its squares or its digits are lost.
        """
        off = self.largest[:, _OFF:]
        sound = np.isfinite(self.squares) & np.isfinite(self.largest) & ((self.largest == 0) | (self.largest > SMALL))
        sound[:, _OFF:] &= (off == 0) | (off > _LOST * off[:, 1:2])
        found: list[int] = np.flatnonzero(~sound.all(1)).tolist()
        return found

    def _room(self, name: str, like: Vector, dtype: torch.dtype | None = None) -> Vector:
        """Memory for a vector of a piece, the same for every piece."""
        return self._room_of(name, len(like.array), dtype or like.values.dtype)

    def _room_of(self, name: str, size: int, dtype: torch.dtype) -> Vector:
        room = self._rooms.get((name, dtype))
        if room is None or len(room.array) < size:
            room = self._rooms[name, dtype] = Vector.of(torch.empty(size, dtype=dtype))
        return room if len(room.array) == size else Vector(room.values[:size], room.array[:size])

    def _widened(self, name: str, values: torch.Tensor) -> Vector:
        """The elements of an answer in fp32, where they are of a smaller type."""
        if values.dtype in (torch.float32, torch.float64):
            return Vector.of(values)
        room = self._room_of(name, values.numel(), torch.float32)
        room.values.copy_(values)
        return room

    def _difference(self, one: Vector, other: Vector) -> Vector:
        room = self._room("difference", other)
        np.subtract(one.array, other.array, out=room.array)
        return room

    def _apart(self, expected: Vector, exact: Vector) -> Vector:
        """What eager is off its fp64, in eager's own type; calculated in fp64, or nothing would be left of it."""
        apart = self._room("apart", expected)
        if exact.array.dtype == expected.array.dtype:
            np.subtract(expected.array, exact.array, out=apart.array)
            return apart
        room = self._room("exact", exact).array
        room[...] = expected.array
        np.subtract(room, exact.array, out=room)
        apart.array[...] = room
        return apart

    def _share(self, difference: Vector, expected: Vector, most: float) -> float:
        """The most of the limit that a piece uses; or a bound to it, where another piece uses more."""
        rtol, atol = self._limit or (0.0, 0.0)
        if most == 0 or (atol > 0 and most / atol <= self._most_used):
            return most and most / atol
        low = _MUCH * self._most_used
        sizes = np.abs(difference.array, out=self._room("share", difference).array)
        telling = np.flatnonzero(sizes > low * atol) if low * atol > 0 else None
        if telling is not None and len(telling) < _FEW * len(sizes):
            limit = np.abs(expected.array[telling]) * rtol + atol
            found = float((sizes[telling] / limit).max(initial=0.0))
        else:
            room = self._room("share", difference).values
            torch.div(difference.values, torch.abs(expected.values, out=room).mul_(rtol).add_(atol), out=room)
            found = largest_quotient(room)
        self._most_used = max(self._most_used, found if math.isfinite(found) else 0.0)
        return max(found, low)


def largest_quotient(quotients: torch.Tensor) -> float:
    """Return the largest absolute value of quotients of finite numbers, of which 0 by 0 counts as 0."""
    found = largest(quotients)
    return largest(quotients.nan_to_num_(nan=0.0, posinf=math.inf, neginf=-math.inf)) if math.isnan(found) else found


def _beyond(difference: Vector, apart: Vector, values: Vector, exact: Vector) -> Vector:
    """What an answer is off the reference, written over what it is off eager's."""
    if exact.array.dtype == values.array.dtype:
        np.subtract(values.array, exact.array, out=difference.array)
    else:
        np.add(difference.array, apart.array, out=difference.array)
    return difference


def _of_actual(actual: Vector, expected: Vector) -> tuple[Size, float]:
    """The size of the backend's answer, whose largest value counts where it is tiny, and its product with eager's."""
    squares = torch.dot(actual.values, actual.values).item()
    size = Size(squares, 0.0 if squares > SMALL**2 else peak(actual.array))
    return size, torch.dot(actual.values, expected.values).item()


def _by_eager(expected: float, difference: float, inner: float) -> tuple[Size, float]:
    """The same of an answer close to eager's, by the squares of that and of their difference, and their product."""
    return Size(expected + 2 * inner + difference), expected + inner
