"""The elements of one output that are compared, unmasked and finite on both sides, and how far apart they are.

One pass over the tensors, piece by piece, finds all that is needed of them, so that nothing of an output's size stands
in memory. A piece is calculated with in fp32, its sums by dot products, and once more in fp64 where that may not be
exact enough: where a number is NaN, infinite or tiny, or beyond ``INFINITE``. Maxima are exact, sums to 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import INFINITE
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.pieces import PIECE, Piece, Pieces, place_in
from pytest_cpuaccel.measure.parity.size import SMALL, Size, largest

SIDES = ("actual", "expected", "rounding", "running")
"""The answers whose distance from the reference is measured."""

FEW = 4096
"""Elements up to which all is calculated in fp64, which is as quick then."""

_NEAR = 1e-6
"""Relative difference of fp32 figures below which fp64 tells which is the larger."""

_LOST = 1e-3
"""Share of what eager is off below which what an answer is off can't be found in fp32 by way of eager."""

_ALIKE = 1e-5
"""Relative difference up to which eager's fp64 has the size of its fp32."""

_FP32 = frozenset({torch.float32, torch.bfloat16, torch.float16})
"""Types that fp32 holds exactly."""


@dataclass(frozen=True)
class Worst:
    """The element that uses most of what ``rtol`` and ``atol`` allow: its difference, its limit, and its place.

    ``use`` is one over the other, ``exceeded`` tells whether any element is off by more than its limit.
    """

    use: float = -1.0
    difference: float = 0.0
    limit: float = 0.0
    place: int = 0
    exceeded: bool = False


@dataclass
class Strays:
    """Unmasked elements that are NaN or infinite on one side and not the same on the other: how many, and the first."""

    count: int = 0
    first: int | None = None

    def take(self, flags: torch.Tensor, piece: Piece) -> None:
        """Count the True places of one piece."""
        found = int(flags.sum())
        if found and self.first is None:
            self.first = piece.place(int(flags.nonzero()[0]))
        self.count += found


@dataclass
class Elements:
    """What one pass found.

    ``count`` are the compared elements; ``mismatched`` those that are not finite on one side and not the same on the
    other, ``lost`` those of them where eager's fp64 is finite and its fp32 is not, ``wrong`` the others; ``alike``
    counts those that are the same on both, ``unfit`` those that are NaN or infinite under eager, ``total`` all unmasked
    elements. Values beyond ``INFINITE`` count as infinite. ``off`` are the sizes of the differences from the reference,
    by ``SIDES``: eager's fp64 where it is known and finite (``has_exact``), else eager itself.
    """

    pair: Pair
    valid: torch.Tensor
    has_exact: bool = False
    total: int = 0
    count: int = 0
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
    _peaks: list[float] = field(default_factory=list)
    _shares: list[float] = field(default_factory=list)
    _most_used: float = 0.0
    _was_fp32: list[bool] = field(default_factory=list)
    _scratch: dict[tuple[str, torch.dtype], torch.Tensor] = field(default_factory=dict)

    @staticmethod
    def of(
        pair: Pair, valid: torch.Tensor, hint: tuple[float, float] | None = None, *, in_fp64: bool = False
    ) -> Elements:
        """Return what there is to know of two tensors of one shape; complex numbers are pairs of elements.

        ``hint`` are an rtol and an atol like those that :meth:`worst` will be asked for, which it is quicker with.
        ``in_fp64`` has all pieces calculated in fp64.
        """
        if pair.expected.is_complex():
            valid = valid.unsqueeze(-1).expand(*valid.shape, 2)
        found = Elements(pair, valid, pair.expected64 is not None, _hint=hint)
        found._pass(in_fp64)
        if found.has_exact or pair.expected64 is None:
            return found
        found = Elements(pair, valid, _hint=hint)  # fp64 turned out not to be finite
        found._pass(in_fp64)
        return found

    @property
    def are_identical(self) -> bool:
        """Whether both sides are equal to the last bit."""
        return not self.mismatched.count and self.difference.largest == 0

    def off_by(self, side: str) -> Size | None:
        """Return what a side is off by; None where that is absent, or not finite where eager is."""
        return None if self._is_broken(side) else self.off.get(side)

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
            if self._peaks[number] > 0:
                found = self._larger_relative(piece, found, in_fp64=not self._was_fp32[number])
        return found

    def index(self, place: int) -> tuple[int, ...]:
        """Return the index in the output of the element with this number among all of it."""
        return place_in(tuple(self.valid.shape), place)

    def worst(self, rtol: float, atol: float) -> Worst:
        """Return the element that uses most of ``atol + rtol * |expected|``.

        Pieces are looked at in the order of the most that they may use, until none can use more.
        """
        most = [self._most(number, rtol, atol) for number in range(len(self._pieces))]
        worst = Worst()
        for number in sorted(range(len(most)), key=lambda number: -most[number]):
            if worst.use >= 0 and (most[number] == 0 or most[number] < worst.use):
                break
            worst = self._worse(self._pieces[number], rtol, atol, worst)
        return worst

    def _most(self, number: int, rtol: float, atol: float) -> float:
        """What an element of a piece uses at most."""
        peak = self._peaks[number]
        if peak == 0:
            return 0.0
        if self._hint is None or self._hint[0] != rtol:
            return peak / atol if atol > 0 else math.inf
        like = 1.0 if self._hint[1] == atol else max(1.0, self._hint[1] / atol) if atol > 0 else math.inf
        return self._shares[number] * like * (1 + _NEAR)

    def kept(self) -> Iterator[tuple[Piece, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield each piece with the compared elements of both sides, in fp64, and their places in its vectors."""
        for piece in self._pieces:
            yield piece, *_kept(piece)

    def constant(self, side: str) -> float | None:
        """Return the number that a side is throughout; None where it is not one."""
        low, high = math.inf, -math.inf
        for piece in self._pieces:
            values = _real(piece.vectors[SIDES.index(side)])[_kept(piece)[2]]
            if len(values):
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        return low if low == high else None

    @cached_property
    def _pieces(self) -> Pieces:
        sides = (getattr(self.pair, side) for side in (*SIDES, "expected64"))
        return Pieces(tuple(None if item is None else _of_reals(item) for item in sides), self.valid)

    @cached_property
    def _is_of_fp32(self) -> bool:
        return all(item is None or item.dtype in _FP32 for item in self._pieces.tensors[: len(SIDES)])

    @property
    def _is_worth_fp32(self) -> bool:
        return self.valid.numel() > FEW

    def _pass(self, in_fp64: bool) -> None:
        self.total = self._pieces.count
        for piece in self._pieces:
            is_fp32 = self._is_of_fp32 and self._is_worth_fp32 and not in_fp64 and self._take_fp32(piece)
            self._was_fp32.append(is_fp32)
            if not is_fp32:
                self._take_fp64(piece)
        self._scratch.clear()

    def _take_fp32(self, piece: Piece) -> bool:
        """Add a piece, calculated in fp32; False where that is not exact enough, and nothing was added."""
        actual, expected, *others = (None if item is None else item.float() for item in piece.vectors[: len(SIDES)])
        assert actual is not None
        assert expected is not None
        exact = piece.vectors[-1] if self.has_exact else None
        known = {side: item for side, item in zip(SIDES[2:], others, strict=True) if not self._is_broken(side)}
        found = self._part(actual, expected, exact, known)
        if not found.is_trustworthy:
            return False
        self._add(found, actual, expected)
        return True

    def _take_fp64(self, piece: Piece) -> None:
        actual, expected = _real(piece.vectors[0]), _real(piece.vectors[1])
        finite = actual.isfinite() & expected.isfinite()
        same = (actual == expected) | (actual.isnan() & expected.isnan())
        mismatched = ~finite & ~same
        self.alike += int((~finite & same).sum())
        self.unfit += int((~expected.isfinite()).sum())
        self.mismatched.take(mismatched, piece)
        exact = piece.vectors[-1]
        lost = mismatched & ~expected.isfinite() & (exact is not None and _real(exact).isfinite())
        self.lost.take(lost, piece)
        self.wrong.take(mismatched & ~lost, piece)
        actual, expected = actual[finite], expected[finite]
        kept = {side: self._if_finite(side, piece, finite) for side in (*SIDES[2:], "expected64")}
        exact = kept.pop("expected64") if self.has_exact else None
        self._add(self._part(actual, expected, exact, kept), actual, expected)

    def _if_finite(self, side: str, piece: Piece, finite: torch.Tensor) -> torch.Tensor | None:
        """The elements of one of eager's variants; one that is not finite where eager is can be no measure."""
        vector = piece.vectors[SIDES.index(side) if side in SIDES else -1]
        if vector is None or self._is_broken(side):
            return None
        values = _real(vector)[finite]
        if bool(values.isfinite().all()):
            return values
        if side == "expected64":
            self.has_exact = False
        else:
            self.off[side] = Size(math.nan, math.nan)
        return None

    def _is_broken(self, side: str) -> bool:
        return side in self.off and math.isnan(self.off[side].squares)

    def _room(self, name: str, like: torch.Tensor) -> torch.Tensor:
        """Memory for a vector of a piece, the same for every piece."""
        size, known = like.numel(), self._scratch.get((name, like.dtype))
        if known is None:
            known = self._scratch[name, like.dtype] = torch.empty(PIECE, dtype=like.dtype)
        return known if size == PIECE else known[:size]

    def _part(
        self,
        actual: torch.Tensor,
        expected: torch.Tensor,
        exact: torch.Tensor | None,
        others: Mapping[str, torch.Tensor | None],
    ) -> _Part:
        """The figures of one piece, of one type but for ``exact``, eager's fp64; None where that is not known."""
        difference = torch.sub(actual, expected, out=self._room("difference", expected))
        size = exact_size = Size.of(expected)
        off: dict[str, Size] = {}
        apart = None
        if exact is not None:
            apart = self._apart(expected, exact)
            off["expected"] = Size.of(apart)
            off["actual"] = self._off(actual, expected, exact, apart)
            if off["expected"].largest > _ALIKE * size.largest:
                exact_size = Size.of(exact)
        for side, values in others.items():
            if values is not None:
                off[side] = self._off(values, expected, exact, apart)
        squares = torch.dot(actual, actual).item()
        return _Part(
            difference=Size.of(difference),
            actual=Size(squares, 0.0 if squares > SMALL**2 else largest(actual)),
            expected=size,
            exact=exact_size,
            product=torch.dot(actual, expected).item(),
            off=off,
        )

    def _apart(self, expected: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        """What eager is off its fp64, in eager's own type; calculated in fp64, or nothing would be left of it."""
        apart = self._room("apart", expected)
        if exact.dtype is expected.dtype:
            return torch.sub(expected, exact, out=apart)
        return apart.copy_(self._room("exact", exact).copy_(expected).sub_(exact))

    def _off(
        self, values: torch.Tensor, expected: torch.Tensor, exact: torch.Tensor | None, apart: torch.Tensor | None
    ) -> Size:
        """The size of what an answer is off the reference."""
        room = self._room("room", expected)
        if exact is None or apart is None:
            return Size.of(torch.sub(values, expected, out=room))
        if exact.dtype is values.dtype:
            return Size.of(torch.sub(values, exact, out=room))
        return Size.of(torch.sub(values, expected, out=room).add_(apart))

    def _add(self, part: _Part, actual: torch.Tensor, expected: torch.Tensor) -> None:
        peak = part.difference.largest
        if peak > self.difference.largest:
            peak = largest(actual.double() - expected.double())
        self.count += expected.numel()
        self._peaks.append(peak)
        self._shares.append(self._share(expected, peak) if self._hint and peak > 0 else 0.0)
        self.difference.add(Size(part.difference.squares, peak))
        self.actual.add(part.actual)
        self.expected.add(part.expected)
        self.exact.add(part.exact)
        self.product += part.product
        off = part.off if self.has_exact else {"actual": Size(part.difference.squares, peak), "expected": Size()}
        for side, size in {**part.off, **off}.items():
            self.off.setdefault(side, Size()).add(size)

    def _share(self, expected: torch.Tensor, peak: float) -> float:
        """The most of the hint's limit that a piece uses, whose differences were just calculated; or a bound to it."""
        rtol, atol = self._hint or (0.0, 0.0)
        if atol > 0 and peak / atol <= self._most_used:
            return peak / atol
        limit = torch.abs(expected, out=self._room("room", expected)).mul_(rtol).add_(atol)
        share = torch.div(self._room("difference", expected), limit, out=limit)
        found = _largest_quotient(share)
        self._most_used = max(self._most_used, found)
        return found

    def _larger_relative(self, piece: Piece, known: float, *, in_fp64: bool) -> float:
        """What is known, or the greatest of a piece if that is larger: in fp64 where fp32 can't tell."""
        actual, expected = piece.vectors[:2]
        assert actual is not None
        assert expected is not None
        if not in_fp64:
            expected = expected.float()
            share = torch.sub(actual.float(), expected, out=self._room("room", expected)).div_(expected)
            if _largest_quotient(share) < known * (1 - _NEAR):
                return known
        actual, expected, _ = _kept(piece)
        return max(known, largest(error.used(actual.sub_(expected).abs_(), expected.abs())))

    def _worse(self, piece: Piece, rtol: float, atol: float, known: Worst) -> Worst:
        actual, expected, places = _kept(piece)
        if not expected.numel():
            return known
        difference = actual.sub_(expected).abs_()
        limit = expected.abs_().mul_(rtol).add_(atol)
        use = error.used(difference, limit)
        number = int(use.argmax())
        place, share = piece.place(int(places.nonzero()[number])), float(use[number])
        exceeded = known.exceeded or bool((difference > limit).any())
        if share > known.use or (share == known.use and place < known.place):
            return Worst(share, float(difference[number]), float(limit[number]), place, exceeded)
        return Worst(known.use, known.difference, known.limit, known.place, exceeded)


@dataclass(frozen=True)
class _Part:
    """The figures of one piece, as in :class:`Elements`."""

    difference: Size
    actual: Size
    expected: Size
    exact: Size
    product: float
    off: dict[str, Size]

    @property
    def is_trustworthy(self) -> bool:
        """Whether fp32 was enough: nothing is infinite, nothing so small that its squares or its digits are lost."""
        sizes = (self.difference, self.actual, self.expected, self.exact, *self.off.values())
        apart = self.off["expected"].largest if "expected" in self.off else 0.0
        return (
            all(size.is_finite and (size.largest == 0 or size.largest > SMALL) for size in sizes)
            and self.exact.largest <= INFINITE
            and all(size.largest == 0 or size.largest > _LOST * apart for size in self.off.values())
        )


def _kept(piece: Piece) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    actual, expected = _real(piece.vectors[0]), _real(piece.vectors[1])
    finite = actual.isfinite() & expected.isfinite()
    return actual[finite], expected[finite], finite


def _largest_quotient(quotients: torch.Tensor) -> float:
    """The largest absolute value of quotients of finite numbers, of which 0 by 0 counts as 0."""
    found = largest(quotients)
    return largest(quotients.nan_to_num_(nan=0.0, posinf=math.inf, neginf=-math.inf)) if math.isnan(found) else found


def _of_reals(tensor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _real(values: torch.Tensor | None) -> torch.Tensor:
    assert values is not None
    values = values.to(torch.float64, copy=True)
    return values.masked_fill_(values > INFINITE, torch.inf).masked_fill_(values < -INFINITE, -torch.inf)
