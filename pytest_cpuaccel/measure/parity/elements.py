"""The elements of one output that are compared, unmasked and finite on both sides, and how far apart they are.

One pass over the tensors, piece by piece, finds all that is needed of them, so that nothing of an output's size stands
in memory. A piece is calculated with in fp32, and once more in fp64 where that is not exact enough: where a number is
NaN, infinite or tiny, or beyond ``INFINITE``. Maxima are exact to 1e-7, sums to 1e-5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from pytest_cpuaccel.core.measurement.parity import Size
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import INFINITE
from pytest_cpuaccel.measure.parity.figures import NEAR, SIDES, Figures
from pytest_cpuaccel.measure.parity.leaves import OutputPair
from pytest_cpuaccel.measure.parity.pieces import Piece, Pieces, place_in
from pytest_cpuaccel.measure.parity.size import largest
from pytest_cpuaccel.measure.parity.strays import Strays
from pytest_cpuaccel.measure.parity.worst import Worst

FEW = 4096
"""Elements up to which all is calculated in fp64, which is as quick then."""

_TELLING = 1e-30
"""Least difference that an element has to be off by for fp32 to tell which elements are."""

_FP32 = frozenset({torch.float32, torch.bfloat16, torch.float16})
"""Types that fp32 holds exactly."""

Kept = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
"""The compared elements of a piece of both sides, in fp64, and their places in its vectors, None for all."""


@dataclass
class Elements:
    """What one pass found.

    ``count`` are the compared elements; ``mismatched`` those that are not finite on one side and not the same on the
    other, ``lost`` those of them where eager's fp64 is finite and its fp32 is not, ``wrong`` the others; ``alike``
    counts those that are the same on both, ``unfit`` those that are NaN or infinite under eager, ``total`` all unmasked
    elements. Values beyond ``INFINITE`` count as infinite. ``off`` are the sizes of the differences from the reference,
    by ``SIDES``: eager's fp64 where it is known and finite (``has_exact``), else eager itself.
    """

    pair: OutputPair
    valid: torch.Tensor
    has_exact: bool = False
    total: int = 0
    alike: int = 0
    unfit: int = 0
    mismatched: Strays = field(default_factory=Strays)
    wrong: Strays = field(default_factory=Strays)
    lost: Strays = field(default_factory=Strays)
    actual: Size = field(default_factory=Size)
    expected: Size = field(default_factory=Size)
    exact: Size = field(default_factory=Size)
    difference: Size = field(default_factory=Size)
    product: float = 0.0
    off: dict[str, Size] = field(default_factory=dict)
    _hint: tuple[float, float] | None = None
    _broken: set[str] = field(default_factory=set)
    _in_fp64: frozenset[int] = frozenset()

    @staticmethod
    def of(
        pair: OutputPair, valid: torch.Tensor, hint: tuple[float, float] | None = None, *, in_fp64: bool = False
    ) -> Elements:
        """Return what there is to know of two tensors of one shape; complex numbers are pairs of elements.

        ``hint`` are an rtol and an atol like those that :meth:`worst` will be asked for, which it is quicker with.
        ``in_fp64`` has all pieces calculated in fp64.
        """
        if pair.expected.is_complex():
            valid = valid.unsqueeze(-1).expand(*valid.shape, 2)
        found = Elements(pair, valid, pair.expected64 is not None, _hint=hint)
        with np.errstate(all="ignore"):
            found._pass(in_fp64)
        if found.has_exact or pair.expected64 is None:
            return found
        found = Elements(pair, valid, _hint=hint)  # fp64 turned out not to be finite
        with np.errstate(all="ignore"):
            found._pass(in_fp64)
        return found

    @property
    def count(self) -> int:
        """How many elements are compared."""
        return self.total - self.alike - self.mismatched.count

    @property
    def are_identical(self) -> bool:
        """Whether both sides are equal to the last bit."""
        return not self.mismatched.count and self.difference.largest == 0

    def off_by(self, side: str) -> Size | None:
        """Return what a side is off by; None where that is absent, or not finite where eager is."""
        return self.off.get(side)

    @property
    def reference(self) -> Size:
        """Return the size of what ``off`` is measured from."""
        return self.exact if self.has_exact else self.expected

    @cached_property
    def cosine(self) -> float:
        """Return the cosine of the angle between both sides; see :func:`error.cosine`."""
        return error.cosine_of(self.actual.squares, self.expected.squares, self.difference.squares, self.product)

    @property
    def sqnr_db(self) -> float:
        """Return the signal-to-noise ratio; see :func:`error.sqnr_db`."""
        noise = self.difference.rms(self.count) / (self.expected.rms(self.count) or 1.0)
        return math.inf if noise == 0 else -20 * math.log10(noise)

    @cached_property
    def largest_relative(self) -> float:
        """Return the greatest difference over eager's value there; infinite where that is zero."""
        found = 0.0
        for number, piece in enumerate(self._pieces):
            if self._figures.peaks[number]:
                found = self._larger_relative(number, piece, found)
        return found

    def index(self, place: int) -> tuple[int, ...]:
        """Return the index in the output of the element with this number among all of it."""
        return place_in(tuple(self.valid.shape), place)

    def at(self, side: str, place: int) -> float:
        """Return that element of one of ``SIDES``."""
        tensor = self._pieces.tensors[SIDES.index(side)]
        assert tensor is not None
        return float(tensor[self.index(place)])

    def worst(self, rtol: float, atol: float) -> Worst:
        """Return the element that uses most of ``atol + rtol * |expected|``.

        Pieces are looked at in the order of the most that they may use, until none can use more.
        """
        most = self._figures.most_used(rtol, atol)
        worst = Worst()
        for number in np.argsort(-most, kind="stable").tolist():
            if worst.use >= 0 and (most[number] == 0 or most[number] < worst.use):
                break
            piece = self._pieces[number]
            worst = worst.or_of(piece, self._kept(number, piece), rtol, atol)
        return worst

    def beyond(self, rtol: float, atol: float) -> int:
        """Return how many elements are off by more than ``atol + rtol * |expected|``."""
        count = 0
        for number in np.flatnonzero(self._figures.peaks * (1 + NEAR) > atol).tolist():
            piece = self._pieces[number]
            if number in self._in_fp64 or atol < _TELLING:
                actual, expected, _ = self._kept(number, piece)
            else:
                surely, near = self._figures.beyond(*_both(piece), rtol, atol)
                count += surely
                actual, expected = (_copy(item[near]) for item in _both(piece))
            limit = expected.abs().mul_(rtol).add_(atol) if rtol else atol
            count += np.count_nonzero((torch.sub(actual, expected, out=actual).abs_() > limit).numpy())
        return count

    def constant(self, side: str) -> float | None:
        """Return the number that a side is throughout; None where it is not one."""
        low, high = math.inf, -math.inf
        for number, piece in enumerate(self._pieces):
            vector, places = piece.vectors[SIDES.index(side)], self._kept(number, piece)[2]
            assert vector is not None
            values = _real(vector if places is None else vector[places])
            if len(values):
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        return low if low == high else None

    @cached_property
    def _pieces(self) -> Pieces:
        sides = (getattr(self.pair, side) for side in (*SIDES, "expected64"))
        return Pieces(tuple(None if item is None else _of_reals(item) for item in sides), self.valid)

    @cached_property
    def _figures(self) -> Figures:
        return Figures(len(self._pieces), self._hint)

    def _pass(self, in_fp64: bool) -> None:
        self.total, figures = self._pieces.count, self._figures
        is_of_fp32 = all(item is None or item.dtype in _FP32 for item in self._pieces.tensors[: len(SIDES)])
        if is_of_fp32 and self.valid.numel() > FEW and not in_fp64:
            for number, piece in enumerate(self._pieces):
                exact = piece.vectors[-1] if self.has_exact else None
                figures.take(number, *_both(piece), piece.vectors[2 : len(SIDES)], exact)
            doubtful = figures.doubtful()
        else:
            doubtful = list(range(len(self._pieces)))
        self._in_fp64 = frozenset(doubtful)
        for number in doubtful:
            self._take_fp64(number, self._pieces[number])
        self._conclude()

    def _take_fp64(self, number: int, piece: Piece) -> None:
        actual, expected = (_real(item) for item in _both(piece))
        finite = actual.isfinite() & expected.isfinite()
        if not bool(finite.all()):
            self._take_nonfinite(piece, actual, expected, finite)
            actual, expected = actual[finite], expected[finite]
        others = [self._if_finite(side, piece, finite) for side in SIDES[2:]]
        exact = self._if_finite("expected64", piece, finite) if self.has_exact else None
        self._figures.take(number, actual, expected, others, exact)

    def _take_nonfinite(self, piece: Piece, actual: torch.Tensor, expected: torch.Tensor, finite: torch.Tensor) -> None:
        same = (actual == expected) | (actual.isnan() & expected.isnan())
        mismatched, unfit = ~finite & ~same, ~expected.isfinite()
        self.alike += int((~finite & same).sum())
        self.unfit += int(unfit.sum())
        self.mismatched.take(mismatched, piece)
        exact = piece.vectors[-1]
        lost = mismatched & unfit & (exact is not None and _real(exact).isfinite())
        self.lost.take(lost, piece)
        self.wrong.take(mismatched & ~lost, piece)

    def _if_finite(self, side: str, piece: Piece, finite: torch.Tensor) -> torch.Tensor | None:
        """The elements of one of eager's variants; one that is not finite where eager is can be no measure."""
        vector = piece.vectors[SIDES.index(side) if side in SIDES else -1]
        if vector is None or side in self._broken:
            return None
        values = _real(vector)[finite]
        if bool(values.isfinite().all()):
            return values
        self._broken.add(side)
        self.has_exact = self.has_exact and side != "expected64"
        return None

    def _conclude(self) -> None:
        """Take the figures of all pieces together."""
        figures = self._figures
        figures.refine(lambda number: self._kept(number, self._pieces[number])[:2])
        self.difference, self.actual, self.expected, self.exact, *off = figures.sizes()
        self.product = float(figures.products.sum())
        absent = self._broken | {side for side in SIDES if getattr(self.pair, side) is None}
        self.off = {side: size for side, size in zip(SIDES, off, strict=True) if side not in absent}

    def _larger_relative(self, number: int, piece: Piece, known: float) -> float:
        """What is known, or the greatest of a piece if that is larger; only of small values can it be."""
        if number in self._in_fp64 or not known:
            actual, expected, _ = self._kept(number, piece)
        else:
            small = self._figures.below(_both(piece)[1], self._figures.peaks[number] / known * (1 + NEAR))
            if not small.numel():
                return known
            actual, expected = (_copy(item[small]) for item in _both(piece))
        return max(known, largest(error.used(actual.sub_(expected).abs_(), expected.abs_())))

    def _kept(self, number: int, piece: Piece) -> Kept:
        if number not in self._in_fp64:  # all are finite
            actual, expected = _both(piece)
            return _copy(actual), _copy(expected), None
        actual, expected = (_real(item) for item in _both(piece))
        finite = actual.isfinite() & expected.isfinite()
        return actual[finite], expected[finite], finite.nonzero()[:, 0]


def _of_reals(tensor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _both(piece: Piece) -> tuple[torch.Tensor, torch.Tensor]:
    actual, expected = piece.vectors[:2]
    assert actual is not None
    assert expected is not None
    return actual, expected


def _copy(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.float64, copy=True)


def _real(values: torch.Tensor) -> torch.Tensor:
    values = _copy(values)
    if largest(values) <= INFINITE:
        return values
    return values.masked_fill_(values > INFINITE, torch.inf).masked_fill_(values < -INFINITE, -torch.inf)
