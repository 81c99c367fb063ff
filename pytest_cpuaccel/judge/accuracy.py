"""The verdict on accuracy: whether a backend scores as well as eager, item by item on the same items.

Items are taken for a sample: what is claimed holds for all items of their kind. All statements are one-sided at 95 %
confidence. Right/wrong scores are judged by exact tests, graded ones by :mod:`pytest_cpuaccel.judge.mean`. A drop
that is neither shown to be allowed nor shown to be too large is INCONCLUSIVE, and so are equal scores of too few items.
With ``of="these"`` the claim is of the given items alone, and there is nothing to infer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.budget import AccuracyBudget
from pytest_cpuaccel.core.distribution import binomial_lower, binomial_upper
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, PairedScores
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.flip_lines import flip_lines
from pytest_cpuaccel.judge.mean import Scale, mean_bounds, scale_of, values_to_tell
from pytest_cpuaccel.judge.metric import metric_promises
from pytest_cpuaccel.judge.paired import paired_p_value, paired_upper
from pytest_cpuaccel.judge.promise import ALPHA, ROUNDING, Found, Promise, beside_eager, number, outcome_of, with_need

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Sample:
    """The scores to judge by. ``scale`` is that of graded scores; None: all are right or wrong, 1 or 0.

    ``alpha`` is the probability of a wrong PASS, and of a wrong FAIL, of each promise.
    """

    actual: Array
    expected: Array
    scale: Scale | None
    alpha: float

    @classmethod
    def of(cls, scores: PairedScores, alpha: float) -> _Sample:
        """Return the sample that scores are; those that are all 0 or 1 are right/wrong answers, any other graded."""
        actual, expected = np.asarray(scores.actual), np.asarray(scores.expected)
        every = np.concatenate([actual, expected])
        return cls(actual, expected, None if scores.are_right_or_wrong else scale_of(every), alpha)

    @property
    def found(self) -> Found:
        every = np.concatenate([self.actual, self.expected])
        return Found(float(every.min()), float(every.max()), "scores lie")

    def mean_bounds(self, scores: Array) -> tuple[float, float]:
        """Return the bounds of the mean of one side's scores."""
        if self.scale is not None:
            return mean_bounds(scores, self.scale, self.alpha)
        successes = int(scores.sum())
        return binomial_lower(successes, self.n, self.alpha), binomial_upper(successes, self.n, self.alpha)

    @property
    def n(self) -> int:
        return len(self.actual)

    @property
    def drop(self) -> float:
        return float((self.expected - self.actual).mean())

    @property
    def losses(self) -> int:
        """Items that scored lower than under eager."""
        return int((self.expected > self.actual).sum())

    @property
    def gains(self) -> int:
        """Items that scored higher than under eager."""
        return int((self.expected < self.actual).sum())


def judge_accuracy(
    measurement: AccuracyMeasurement, budget: AccuracyBudget, about: str, alpha: float = ALPHA
) -> Verdict:
    """Return the verdict on a backend's scores, or on what a metric made of its answers; ``about`` says of what.

    ``alpha`` is the probability of a wrong PASS, and of a wrong FAIL, that each promise may have.

    Raises:
        UsageError: no budget, or one that every score on this scale keeps, or none does, or that eager itself misses.
    """
    if measurement.metric is not None:
        promises = tuple(metric_promises(measurement, budget))
    else:
        assert measurement.scores is not None, "a measurement that was read from a report can't be judged"
        promises = tuple(_promises(_Sample.of(measurement.scores, alpha), budget))
    if not promises:
        raise UsageError("accuracy: nothing is promised; give max_drop= or min_score=")
    outcome = Outcome.worst(promise.outcome for promise in promises)
    sentence = "; ".join(promise.sentence for promise in promises if promise.outcome is outcome)
    if measurement.is_early and outcome is not Outcome.INCONCLUSIVE:
        sentence += f"; decided after {measurement.items} of {measurement.given} items"
    bounds = tuple(promise.bounds for promise in promises)
    evidence = flip_lines(measurement.flipped, about) if outcome is Outcome.FAIL else ()
    return Verdict("accuracy", outcome, f"{about}: {sentence}", evidence, measurement=measurement, bounds=bounds)


def _promises(sample: _Sample, budget: AccuracyBudget) -> Iterator[Promise]:
    found = sample.found
    if budget.max_drop is not None:
        found.check_drop(budget.max_drop)
        promise = _drop(sample, budget, budget.max_drop)
        found.check_points(promise, sample.drop)
        yield promise
    if budget.min_score is not None:
        eager = float(sample.expected.mean())
        found.check_least(budget.min_score, eager)
        if sample.scale is None:
            _check_allows_not_any(budget.min_score)
        if budget.of is not None:
            yield beside_eager(_score_of_these(sample, budget.min_score), eager, (eager, eager))
        else:
            yield beside_eager(_least_score(sample, budget.min_score), eager, sample.mean_bounds(sample.expected))


def _drop(sample: _Sample, budget: AccuracyBudget, allowed: float) -> Promise:
    if budget.of is not None:
        return _drop_of_these(sample, allowed)
    if sample.scale is None:
        return _drop_of_right_wrong(sample, allowed)
    return _drop_of_graded(sample, sample.scale, allowed)


def _check_allows_not_any(least: float) -> None:
    if least <= 0:
        raise UsageError(
            f"accuracy_budget(min_score=): right/wrong scores are 0 or 1, so that {number(least)} would allow any; "
            "write 0.9 for 90 %"
        )


def _drop_of_these(sample: _Sample, allowed: float) -> Promise:
    outcome = Outcome.PASS if sample.drop <= allowed + ROUNDING else Outcome.FAIL
    counts = f"{sample.losses} scored lower, {sample.gains} higher"
    sentence = f"dropped by {number(sample.drop)} on these {sample.n} items ({counts}), allowed {number(allowed)}"
    return Promise(outcome, sentence, Bounds("drop", allowed))


def _score_of_these(sample: _Sample, least: float) -> Promise:
    score = float(sample.actual.mean())
    outcome = Outcome.PASS if score >= least - ROUNDING else Outcome.FAIL
    sentence = f"scored {number(score)} on these {sample.n} items, at least {number(least)} wanted"
    return Promise(outcome, sentence, Bounds("score", least))


def _drop_of_right_wrong(sample: _Sample, allowed: float) -> Promise:
    n, losses, gains = sample.n, sample.losses, sample.gains
    drop = (losses - gains) / n
    lower, upper = _bounds_of_drop(sample, allowed)
    sentence = (
        f"dropped by {number(drop)} (95 % bounds {number(lower)} and {number(upper)}; of {n} items "
        f"{losses} lost, {gains} gained), allowed {number(allowed)}"
    )
    if not losses and not gains:
        sentence = _no_drop(n, upper, allowed)
    spread = math.sqrt((losses + gains) / n - drop**2)
    found = Promise(
        outcome_of(upper <= allowed, lower > allowed),
        sentence,
        Bounds("drop", allowed, lower, upper, lost_items=losses, gained_items=gains),
    )
    gap = allowed - drop
    return with_need(found, n=n, wanted=_right_wrong_to_tell(gap, spread, sample.alpha), gap=gap)


def _no_drop(n: int, upper: float, allowed: float) -> str:
    return f"equal scores on all {n} items: no drop (95 % upper bound {number(upper)}), allowed {number(allowed)}"


def _bounds_of_drop(sample: _Sample, allowed: float) -> tuple[float, float]:
    """The bounds of a drop of right/wrong scores, each on the side of what is allowed that the exact test says.

    Without a loss or a gain, the share of items that may be lost, or gained, is all there is to bound.
    """
    n, losses, gains, alpha = sample.n, sample.losses, sample.gains, sample.alpha
    if not losses and not gains:
        most = binomial_upper(0, n, alpha)
        return -most, most
    lower, upper = -paired_upper(gains, losses, n, alpha), paired_upper(losses, gains, n, alpha)
    kept = paired_p_value(losses, gains, n, allowed) <= alpha
    broken = paired_p_value(gains, losses, n, -allowed) <= alpha
    beyond = math.nextafter(allowed, math.inf)
    return (
        max(lower, beyond) if broken else min(lower, allowed),
        min(upper, allowed) if kept else max(upper, beyond),
    )


def _right_wrong_to_tell(gap: float, spread: float, alpha: float) -> int:
    """From the normal approximation ``z * spread / sqrt(n) = |gap|``, and no fewer than items without spread take."""
    if abs(gap) < ROUNDING:
        return 0
    wanted = (NormalDist().inv_cdf(1 - alpha) * spread / gap) ** 2
    return math.ceil(max(wanted, math.log(alpha) / math.log1p(-min(abs(gap), 0.5))))


def _drop_of_graded(sample: _Sample, scale: Scale, allowed: float) -> Promise:
    differences, n, drop, width = sample.expected - sample.actual, sample.n, sample.drop, scale.high - scale.low
    each = Scale(-width, width)
    lower, upper = mean_bounds(differences, each, sample.alpha)
    sentence = (
        f"mean score dropped by {number(drop)} (95 % bounds {number(lower)} and {number(upper)}; {n} items), "
        f"allowed {number(allowed)}"
    )
    if not differences.any():
        sentence = _no_drop(n, upper, allowed)
    outcome = outcome_of(upper <= allowed, lower > allowed)
    gap = allowed - drop
    wanted = values_to_tell(differences, each, sample.alpha, allowed) if abs(gap) >= ROUNDING else 0
    return with_need(Promise(outcome, sentence, Bounds("drop", allowed, lower, upper)), n=n, wanted=wanted, gap=gap)


def _least_score(sample: _Sample, least: float) -> Promise:
    actual, n, score = sample.actual, sample.n, float(sample.actual.mean())
    gap = score - least
    lower, upper = sample.mean_bounds(actual)
    if sample.scale is None:
        wanted = _right_wrong_to_tell(gap, math.sqrt(score * (1 - score)), sample.alpha)
    else:
        wanted = values_to_tell(actual, sample.scale, sample.alpha, least) if abs(gap) >= ROUNDING else 0
    sentence = (
        f"scored {number(score)} on {n} items (95 % bounds {number(lower)} and {number(upper)}), "
        f"at least {number(least)} wanted"
    )
    outcome = outcome_of(lower >= least, upper < least)
    return with_need(Promise(outcome, sentence, Bounds("score", least, lower, upper)), n=n, wanted=wanted, gap=gap)
