"""The promises of the mark, held to a metric over all items at once, such as F1 or BLEU.

Such a metric has no value for one item, so that its spread is found by the bootstrap: its values over items that were
drawn anew from those seen, the same items for the backend and for eager (Efron, Annals of Statistics 7, 1979, 1-26;
paired for two systems: Koehn, EMNLP 2004, 388-395). The bootstrap knows items like those seen alone: of equal answers
it finds no spread, however few they are. So half of alpha pays for a share of items unlike those seen: no more than
``1 - (alpha / 2) ** (1 / n)`` of all, about ``3.7 / n`` (the rule of three). They are taken to move the metric by no
more than that share of its scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.budget import AccuracyBudget
from pytest_cpuaccel.core.distribution import binomial_upper
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, PairedScores
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.mean import scale_of
from pytest_cpuaccel.judge.promise import (
    ALPHA,
    OR_THESE,
    ROUNDING,
    Found,
    Promise,
    beside_eager,
    number,
    outcome_of,
    with_need,
)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Resampled:
    """A metric's values over resampled items; ``unseen`` is how far items unlike those seen can move it."""

    actual: Array
    expected: Array
    items: int
    width: float

    @classmethod
    def of(cls, scores: PairedScores, measurement: AccuracyMeasurement) -> _Resampled:
        actual, expected = np.asarray(scores.actual), np.asarray(scores.expected)
        every = np.concatenate([actual, expected, [measurement.score, measurement.eager_score]])
        scale = scale_of(every[np.isfinite(every)])
        return cls(actual, expected, measurement.items, scale.high - scale.low)

    def bounds(self, values: Array) -> tuple[float, float]:
        """Return the bounds of what the metric has over all items, each at confidence ``1 - ALPHA``.

        Where the metric is undefined over resampled items, such as the recall of a class that none is of, it could
        have any value.
        """
        each = ALPHA if np.ptp(values) == 0 else ALPHA / 2
        unseen = binomial_upper(0, self.items, each) * self.width
        low = np.sort(np.where(np.isnan(values), -math.inf, values))
        high = np.sort(np.where(np.isnan(values), math.inf, values))
        outside = max(math.floor(each * (len(values) + 1)), 1)
        return float(low[outside - 1]) - unseen, float(high[-outside]) + unseen


def metric_promises(measurement: AccuracyMeasurement, budget: AccuracyBudget) -> Iterator[Promise]:
    """Yield what was found of each promise of a budget.

    Raises:
        UsageError: a drop is allowed that every value of the metric keeps.
    """
    scores = measurement.scores
    assert scores is not None or budget.of is not None, "a metric without resampled values says nothing of other items"
    resampled = None if budget.of is not None or scores is None else _Resampled.of(scores, measurement)
    eager = measurement.eager_score
    values = measurement.score, eager
    found = Found(min(values), max(values), f"values of {measurement.metric} lie")
    if budget.max_drop is not None:
        found.check_drop(budget.max_drop)
        promise = _drop(measurement, budget.max_drop, resampled)
        found.check_points(promise, measurement.drop)
        yield promise
    if budget.min_score is not None:
        found.check_least(budget.min_score, eager)
        bounds = (eager, eager) if resampled is None else resampled.bounds(resampled.expected)
        yield beside_eager(_least(measurement, budget.min_score, resampled), eager, bounds)


def _drop(found: AccuracyMeasurement, allowed: float, resampled: _Resampled | None) -> Promise:
    what = f"{found.metric} dropped by {number(found.drop)}, from {number(found.eager_score)} to {number(found.score)}"
    if resampled is None:
        outcome = Outcome.PASS if found.drop <= allowed + ROUNDING else Outcome.FAIL
        sentence = f"{what}, on these {found.items} items, allowed {number(allowed)}"
        return Promise(outcome, sentence, Bounds("drop", allowed))
    low, high = resampled.bounds(resampled.expected - resampled.actual)
    sentence = f"{what} (95 % bounds {number(low)} and {number(high)}; {found.items} items), allowed {number(allowed)}"
    bounds = Bounds("drop", allowed, low, high)
    promise = Promise(outcome_of(high <= allowed, low > allowed), sentence, bounds)
    return _with_need(promise, found.items, found.drop, (low, high))


def _least(found: AccuracyMeasurement, least: float, resampled: _Resampled | None) -> Promise:
    what = f"{found.metric} of {number(found.score)}"
    if resampled is None:
        outcome = Outcome.PASS if found.score >= least - ROUNDING else Outcome.FAIL
        sentence = f"{what} on these {found.items} items, at least {number(least)} wanted"
        return Promise(outcome, sentence, Bounds("score", least))
    low, high = resampled.bounds(resampled.actual)
    sentence = (
        f"{what} on {found.items} items (95 % bounds {number(low)} and {number(high)}), at least {number(least)} wanted"
    )
    promise = Promise(outcome_of(low >= least, high < least), sentence, Bounds("score", least, low, high))
    return _with_need(promise, found.items, found.score, (low, high))


def _with_need(promise: Promise, items: int, value: float, bounds: tuple[float, float]) -> Promise:
    """Bounds are taken to shrink with the square root of the number of items."""
    gap = promise.bounds.limit - value
    reach = bounds[1] - value if gap > 0 else value - bounds[0]
    if promise.outcome is not Outcome.INCONCLUSIVE:
        return promise
    if not math.isfinite(reach):
        return replace(promise, sentence=f"{promise.sentence}; some resampled items leave it undefined ({OR_THESE})")
    wanted = math.ceil(items * (reach / gap) ** 2) if abs(gap) >= ROUNDING else 0
    return with_need(promise, n=items, wanted=wanted, gap=gap)
