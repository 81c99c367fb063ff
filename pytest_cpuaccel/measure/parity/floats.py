"""Outputs of floating-point and complex numbers, which are near eager's or not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from pytest_cpuaccel.core.measurement.parity import (
    Constants,
    Distances,
    Excess,
    FloatFigures,
    Mismatch,
    Neighbours,
    Nonfinite,
    Share,
    Size,
    WorstElement,
)
from pytest_cpuaccel.core.parity_questions import ElementLimit, LikelyLimit, ParityQuestions
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import BARS
from pytest_cpuaccel.measure.parity.elements import Elements
from pytest_cpuaccel.measure.parity.leaves import OutputPair
from pytest_cpuaccel.measure.parity.neighbours import neighbours
from pytest_cpuaccel.measure.parity.pieces import Pieces
from pytest_cpuaccel.measure.parity.spread import spread
from pytest_cpuaccel.measure.parity.strays import Strays
from pytest_cpuaccel.measure.parity.top1 import top1_share

_STEPS = 4
"""Most different numbers of an output that a step function gives: three of ``sign``."""

_OF_TYPE = {torch.float16: BARS[Precision.FP16].floor, torch.bfloat16: BARS[Precision.BF16].floor}


@dataclass
class Floats:
    """A pair of such tensors; nothing that was found once is sought again."""

    pair: OutputPair
    valid: torch.Tensor
    _elements: Elements | None = None
    _in_fp64: bool = False
    _worst: dict[ElementLimit, WorstElement] = field(default_factory=dict)
    _beyond: dict[tuple[ElementLimit, ElementLimit], Excess] = field(default_factory=dict)

    def figures(self, asked: ParityQuestions) -> FloatFigures:
        """Return what there is to know of them, with the answers to what is asked."""
        elements = self._passed(asked)
        return FloatFigures(
            total=elements.total,
            count=elements.count,
            alike=elements.alike,
            unfit=elements.unfit,
            is_nan=elements.unfit == elements.total and self._is_nan,
            has_exact=elements.has_exact,
            actual=elements.actual,
            expected=elements.expected,
            exact=elements.exact,
            difference=elements.difference,
            cosine=elements.cosine,
            sqnr_db=elements.sqnr_db,
            off=_distances(elements),
            mismatched=self._mismatch(elements, elements.mismatched),
            wrong=self._mismatch(elements, elements.wrong),
            lost=self._mismatch(elements, elements.lost),
            longest=self.pair.longest,
            longest_kept=self.pair.longest_kept,
            of_type=_OF_TYPE.get(self.pair.expected.dtype, 0.0),
            worst=None if asked.worst is None else self._worst_of(elements, asked.worst),
            constants=self._constants if asked.constants else None,
            largest_relative=elements.largest_relative if asked.relative else None,
            top1=self._top1 if asked.top1 else None,
            excess=None if asked.excess is None else self._excess(elements, asked.excess, asked.farthest),
            nonfinite=self._nonfinite if asked.nonfinite else None,
            neighbours=self._neighbours if asked.neighbours else None,
            spread=self._spread if asked.spread else None,
        )

    def _passed(self, asked: ParityQuestions) -> Elements:
        """What one pass found, made anew where it is to be in fp64."""
        if self._elements is None or (asked.in_fp64 and not self._in_fp64):
            likely = None if asked.in_fp64 else _limit(asked.likely, self.pair, self.valid)
            self._elements = Elements.of(self.pair, self.valid, likely, in_fp64=asked.in_fp64)
            self._in_fp64 = asked.in_fp64
            self._worst.clear()
            self._beyond.clear()
        return self._elements

    def _mismatch(self, elements: Elements, strays: Strays) -> Mismatch | None:
        if strays.first is None:
            return None
        index = elements.index(strays.first)
        exact = self.pair.expected64
        return Mismatch(
            strays.count,
            index,
            _at(self.pair.actual, index),
            _at(self.pair.expected, index),
            None if exact is None else _at(exact, index),
        )

    def _worst_of(self, elements: Elements, limit: ElementLimit) -> WorstElement:
        if limit not in self._worst:
            worst = elements.worst(*limit)
            index = elements.index(worst.place)
            self._worst[limit] = WorstElement(*limit, worst.use, worst.difference, worst.limit, worst.exceeded, index)
        return self._worst[limit]

    def _excess(self, elements: Elements, limit: ElementLimit, farthest: ElementLimit) -> Excess | None:
        if not elements.count:
            return None
        if (limit, farthest) not in self._beyond:
            place = elements.worst(*farthest).place
            values = elements.at("actual", place), elements.at("expected", place)
            self._beyond[limit, farthest] = Excess(elements.beyond(*limit), elements.index(place), *values)
        return self._beyond[limit, farthest]

    @cached_property
    def _top1(self) -> Share | None:
        return top1_share(self.pair.actual, self.pair.expected, self.valid)

    @cached_property
    def _neighbours(self) -> Neighbours | None:
        return neighbours(self.pair.actual, self.pair.expected, self.valid)

    @cached_property
    def _spread(self) -> float | None:
        return spread(self.pair.expected, self.valid)

    @cached_property
    def _constants(self) -> Constants:
        elements, expected = self._elements, self.pair.expected
        assert elements is not None
        rounding = None if self.pair.rounding is None else elements.constant("rounding")
        values = torch.unique(expected) if expected.is_floating_point() else expected.new_empty(0)
        steps = tuple(values.tolist()) if len(values) <= _STEPS else ()
        return Constants(elements.constant("actual"), elements.constant("expected"), rounding, steps)

    @cached_property
    def _nonfinite(self) -> Nonfinite:
        nan, inf = np.zeros(2, int), np.zeros(2, int)
        for piece in Pieces((self.pair.actual, self.pair.expected), self.valid):
            sides = [side for side in piece.vectors if side is not None]
            nan += [int(side.isnan().sum()) for side in sides]
            inf += [int(side.isinf().sum()) for side in sides]
        return Nonfinite(*map(int, (*nan, *inf)))

    @property
    def _is_nan(self) -> bool:
        """Whether all of eager's are NaN."""
        pieces = Pieces((self.pair.expected,), self.valid)
        return all(bool(piece.vectors[0].isnan().all()) for piece in pieces if piece.vectors[0] is not None)


def _limit(likely: LikelyLimit | None, pair: OutputPair, valid: torch.Tensor) -> ElementLimit | None:
    """The rtol and about the atol that an output will be held to; None where to no such limit."""
    if likely is None or likely.scaled_atol is None:
        return None if likely is None else (likely.rtol, likely.atol)
    if pair.expected64 is not None:
        return None
    sample = Pieces((pair.expected,), valid)[0].vectors[0]
    scale = 0.0 if sample is None else float(sample.abs().double().square().mean().sqrt())
    return likely.rtol, (scale if math.isfinite(scale) else 1.0) * likely.scaled_atol


def _distances(elements: Elements) -> Distances:
    off = elements.off_by
    return Distances(off("actual") or Size(), off("expected"), off("rounding"), off("running"))


def _at(tensor: torch.Tensor, place: tuple[int, ...]) -> float:
    values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return float(values[place])
