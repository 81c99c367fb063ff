"""The figures of pieces: what measures of error need to know of the elements that are compared.

They are dot products and maxima, found of one piece after the other, so that what is calculated stays in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from pytest_cpuaccel.core.measurement.parity import Size
from pytest_cpuaccel.measure.parity.size import SMALL, largest, size_of

SIDES = ("actual", "expected", "rounding", "running")
"""The answers whose distance from the reference is measured."""

NEAR = 1e-6
"""Relative difference of fp32 figures below which fp64 tells which is the larger."""

_DIFFERENCE, _ACTUAL, _EXPECTED, _EXACT, _OFF = range(5)
_VECTORS = _OFF + len(SIDES)
_NOTHING = Size()

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
        self._rooms: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def take(
        self,
        number: int,
        actual: torch.Tensor,
        expected: torch.Tensor,
        others: Sequence[torch.Tensor | None],
        exact: torch.Tensor | None,
    ) -> None:
        """Find those of a piece, vectors (n,) of one type but for ``exact``; ``others`` are the rest of ``SIDES``."""
        found = [_NOTHING] * _VECTORS
        self.products[number] = self.shares[number] = 0.0
        if expected.numel():
            actual, expected = self._widened(0, actual), self._widened(1, expected)
            self._take_sides(number, actual, expected, found)
            apart = None if exact is None else self._take_exact(actual, expected, exact, found)
            for place, values in enumerate(others, 2):
                if values is not None:
                    found[_OFF + place] = self._take_other(self._widened(place, values), expected, exact, apart)
        self.squares[number], self.largest[number] = zip(*found, strict=True)

    def _take_sides(self, number: int, actual: torch.Tensor, expected: torch.Tensor, found: list[Size]) -> None:
        difference = torch.sub(actual, expected, out=self._room("difference", expected))
        found[_DIFFERENCE] = found[_OFF] = size_of(difference)
        found[_EXPECTED] = found[_EXACT] = size_of(expected)
        found[_ACTUAL], self.products[number] = _of_actual(actual, expected, difference, found)
        if self._limit is not None:
            self.shares[number] = self._share(difference, expected, found[_DIFFERENCE].largest)

    def _take_exact(
        self, actual: torch.Tensor, expected: torch.Tensor, exact: torch.Tensor, found: list[Size]
    ) -> torch.Tensor:
        """What the reference is apart from eager; the difference of both sides lies in its room."""
        apart = self._apart(expected, exact)
        found[_OFF] = size_of(self._off(self._room("difference", expected), apart, actual, exact))
        found[_OFF + 1] = size_of(apart)
        if found[_OFF + 1].largest > _ALIKE * found[_EXPECTED].largest:
            found[_EXACT] = size_of(exact)
        return apart

    def _take_other(
        self, values: torch.Tensor, expected: torch.Tensor, exact: torch.Tensor | None, apart: torch.Tensor | None
    ) -> Size:
        difference = torch.sub(values, expected, out=self._room("difference", expected))
        return size_of(difference if exact is None or apart is None else self._off(difference, apart, values, exact))

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

    def doubtful(self) -> list[int]:
        """Return the numbers of the pieces for which fp32 is not exact enough.

        Something in them is infinite, or so small that its squares or its digits are lost.
        """
        off = self.largest[:, _OFF:]
        sound = np.isfinite(self.squares) & np.isfinite(self.largest) & ((self.largest == 0) | (self.largest > SMALL))
        sound[:, _OFF:] &= (off == 0) | (off > _LOST * off[:, 1:2])
        found: list[int] = np.flatnonzero(~sound.all(1)).tolist()
        return found

    def _room(self, name: str, like: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Memory for a vector of a piece, the same for every piece."""
        size, dtype = like.numel(), dtype or like.dtype
        room = self._rooms.get((name, dtype))
        if room is None or room.numel() < size:
            room = self._rooms[name, dtype] = torch.empty(size, dtype=dtype)
        return room if room.numel() == size else room[:size]

    def _widened(self, place: int, values: torch.Tensor) -> torch.Tensor:
        """The elements of a side in fp32, where they are of a smaller type."""
        if values.dtype in (torch.float32, torch.float64):
            return values
        return self._room(SIDES[place], values, torch.float32).copy_(values)

    def _apart(self, expected: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        """What eager is off its fp64, in eager's own type; calculated in fp64, or nothing would be left of it."""
        apart = self._room("apart", expected)
        if exact.dtype is expected.dtype:
            return torch.sub(expected, exact, out=apart)
        return apart.copy_(self._room("exact", exact).copy_(expected).sub_(exact))

    @staticmethod
    def _off(difference: torch.Tensor, apart: torch.Tensor, values: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        """What an answer is off the reference, written over what it is off eager's."""
        return torch.sub(values, exact, out=difference) if exact.dtype is values.dtype else difference.add_(apart)

    def _share(self, difference: torch.Tensor, expected: torch.Tensor, peak: float) -> float:
        """The most of the limit that a piece uses; or a bound to it, where another piece uses more."""
        rtol, atol = self._limit or (0.0, 0.0)
        if peak == 0 or (atol > 0 and peak / atol <= self._most_used):
            return peak and peak / atol
        low = _MUCH * self._most_used
        room = torch.abs(difference, out=self._room("share", difference))
        telling = np.flatnonzero(room.numpy() > low * atol) if low * atol > 0 else None
        if telling is not None and len(telling) < _FEW * room.numel():
            limit = np.abs(expected.numpy()[telling]) * rtol + atol
            found = float((room.numpy()[telling] / limit).max(initial=0.0))
        else:
            torch.div(difference, torch.abs(expected, out=room).mul_(rtol).add_(atol), out=room)
            found = largest_quotient(room)
        self._most_used = max(self._most_used, found if math.isfinite(found) else 0.0)
        return max(found, low)


def largest_quotient(quotients: torch.Tensor) -> float:
    """Return the largest absolute value of quotients of finite numbers, of which 0 by 0 counts as 0."""
    found = largest(quotients)
    return largest(quotients.nan_to_num_(nan=0.0, posinf=math.inf, neginf=-math.inf)) if math.isnan(found) else found


def _of_actual(
    actual: torch.Tensor, expected: torch.Tensor, difference: torch.Tensor, known: Sequence[Size]
) -> tuple[Size, float]:
    """The size of the backend's answer, whose largest value counts where it is tiny, and its product with eager's."""
    apart, own = known[_DIFFERENCE].squares, known[_EXPECTED].squares
    if apart < _CLOSE * own:
        inner = torch.dot(difference, expected).item()
        return Size(own + 2 * inner + apart), own + inner
    squares = torch.dot(actual, actual).item()
    size = Size(squares, 0.0 if squares > SMALL**2 else largest(actual))
    return size, torch.dot(actual, expected).item()
