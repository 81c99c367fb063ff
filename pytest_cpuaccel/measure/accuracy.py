"""Accuracy: whether a backend scores as well as eager, item by item on the same items.

Items are taken for a sample: what is claimed holds for all items of their kind. All statements are one-sided at 95 %
confidence. Right/wrong scores are judged by exact tests, graded ones by :mod:`pytest_cpuaccel.measure.mean`. A drop
that is neither shown to be allowed nor shown to be too large is INCONCLUSIVE, and so are equal scores of too few items.
With ``of="these"`` the claim is of the given items alone, and there is nothing to infer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import AccuracyBudget
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.distribution import binomial_lower, binomial_upper
from pytest_cpuaccel.measure.mean import Scale, mean_bounds, scale_of, values_to_tell
from pytest_cpuaccel.measure.paired import paired_p_value, paired_upper

ALPHA = 0.05
"""Chance of a wrong PASS, and of a wrong FAIL, of each promise of the mark."""

ROUNDING = 1e-9
"""A mean that exceeds a limit by less does so by rounding: three of 300 lost items are 1 %."""

OR_THESE = 'or of="these" if these items are all there is'

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AccuracyResult:
    """``figure`` is the short form for a table: ``0.942 (eager 0.947)``."""

    outcome: Outcome
    sentence: str
    figure: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class _Promise:
    """One promise of the mark: ``lower`` and ``upper`` bound the quantity, each at confidence 1 - ALPHA."""

    outcome: Outcome
    sentence: str
    facts: Mapping[str, Scalar]


def judge_accuracy(
    actual_scores: Sequence[float], expected_scores: Sequence[float], budget: AccuracyBudget
) -> AccuracyResult:
    """Judge a backend's scores against eager's on the same items, in the same order; higher is better.

    Scores that are all 0 or 1 (or bools) are right/wrong answers; any other are graded.

    Raises:
        UsageError: no scores, different numbers of scores, a score that is no finite number, no budget, or one that
            every score on this scale keeps, or none does.
    """
    actual, expected = _scores(actual_scores, "the backend"), _scores(expected_scores, "eager")
    if len(actual) != len(expected):
        raise UsageError(
            f"accuracy: {len(actual)} scores from the backend and {len(expected)} from eager; "
            "score the same items, in the same order, under both"
        )
    promises = tuple(_promises(actual, expected, budget))
    if not promises:
        raise UsageError("accuracy: nothing is promised; give max_drop= or min_score=")
    facts: dict[str, Scalar] = {
        "items": len(actual),
        "score": float(actual.mean()),
        "eager_score": float(expected.mean()),
        "drop": float((expected - actual).mean()),
    }
    for promise in promises:
        facts.update(promise.facts)
    outcome = _worst(promise.outcome for promise in promises)
    return AccuracyResult(
        outcome=outcome,
        sentence="; ".join(promise.sentence for promise in promises if promise.outcome is outcome),
        figure=f"{actual.mean():.3f} (eager {expected.mean():.3f})",
        facts=facts,
    )


def _scores(values: Sequence[float], whose: str) -> Array:
    try:
        scores = np.asarray([float(value) for value in values], dtype=np.float64)
    except (TypeError, ValueError) as mistake:
        raise UsageError(f"accuracy: a score of {whose} is no number ({mistake}); return one per item") from None
    if not len(scores):
        raise UsageError(f"accuracy: no scores from {whose}; give at least one item")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise UsageError(f"accuracy: item {wrong[0]} scored {scores[wrong[0]]} under {whose}; return a finite number")
    return scores


def _promises(actual: Array, expected: Array, budget: AccuracyBudget) -> Iterator[_Promise]:
    right_wrong = bool(np.isin(actual, (0, 1)).all() and np.isin(expected, (0, 1)).all())
    scale = scale_of(np.concatenate([actual, expected]))
    if budget.max_drop is not None:
        _check_drop(budget.max_drop, scale)
        if budget.of is not None:
            yield _drop_of_these(actual, expected, budget.max_drop)
        elif right_wrong:
            yield _drop_of_right_wrong(actual, expected, budget.max_drop)
        else:
            yield _drop_of_graded(expected - actual, scale, budget.max_drop)
    if budget.min_score is not None:
        if right_wrong:
            _check_least(budget.min_score)
        if budget.of is not None:
            yield _score_of_these(actual, budget.min_score)
        else:
            yield _least_score(actual, budget.min_score, None if right_wrong else scale)


def _check_drop(allowed: float, scale: Scale) -> None:
    if scale.low >= 0 and scale.high <= 1 and allowed >= 1:
        raise UsageError(
            f"accuracy_budget(max_drop=): scores lie between 0 and 1 here, so that {_number(allowed)} would allow any "
            f'drop; write "{_number(allowed)}%" or {_number(allowed / 100)}'
        )


def _check_least(least: float) -> None:
    if least > 1:
        raise UsageError(
            f"accuracy_budget(min_score=): right/wrong scores are 0 or 1 and never reach {_number(least)}; "
            f"write {_number(least / 100)} for {_number(least)} %"
        )
    if least <= 0:
        raise UsageError(
            f"accuracy_budget(min_score=): right/wrong scores are 0 or 1, so that {_number(least)} would allow any; "
            "write 0.9 for 90 %"
        )


def _drop_of_these(actual: Array, expected: Array, allowed: float) -> _Promise:
    n, drop = len(actual), float((expected - actual).mean())
    losses, gains = int((expected > actual).sum()), int((expected < actual).sum())
    outcome = Outcome.PASS if drop <= allowed + ROUNDING else Outcome.FAIL
    counts = f"{losses} scored lower, {gains} higher"
    sentence = f"dropped by {_number(drop)} on these {n} items ({counts}), allowed {_number(allowed)}"
    return _Promise(outcome, sentence, {"max_drop": allowed, "of": "these"})


def _score_of_these(actual: Array, least: float) -> _Promise:
    score = float(actual.mean())
    outcome = Outcome.PASS if score >= least - ROUNDING else Outcome.FAIL
    sentence = f"scored {_number(score)} on these {len(actual)} items, at least {_number(least)} wanted"
    return _Promise(outcome, sentence, {"min_score": least, "of": "these"})


def _drop_of_right_wrong(actual: Array, expected: Array, allowed: float) -> _Promise:
    n = len(actual)
    losses, gains = int((expected > actual).sum()), int((expected < actual).sum())
    drop = (losses - gains) / n
    lower, upper = _bounds_of_drop(losses, gains, n, allowed)
    outcome = _outcome(upper <= allowed, lower > allowed)
    spread = math.sqrt((losses + gains) / n - drop**2)
    sentence = (
        f"dropped by {_number(drop)} (95 % bounds {_number(lower)} and {_number(upper)}; of {n} items "
        f"{losses} lost, {gains} gained), allowed {_number(allowed)}"
    )
    if not losses and not gains:
        sentence = _no_drop(n, upper, allowed)
    facts: dict[str, Scalar] = {
        "max_drop": allowed,
        "drop_lower": lower,
        "drop_upper": upper,
        "lost_items": losses,
        "gained_items": gains,
    }
    gap = allowed - drop
    return _with_need(outcome, sentence, facts, n=n, wanted=_right_wrong_to_tell(gap, spread), gap=gap)


def _no_drop(n: int, upper: float, allowed: float) -> str:
    return f"equal scores on all {n} items: no drop (95 % upper bound {_number(upper)}), allowed {_number(allowed)}"


def _bounds_of_drop(losses: int, gains: int, n: int, allowed: float) -> tuple[float, float]:
    """The bounds of a drop of right/wrong scores, each on the side of what is allowed that the exact test says.

    Without a loss or a gain, the share of items that may be lost, or gained, is all there is to bound.
    """
    if not losses and not gains:
        most = binomial_upper(0, n, ALPHA)
        return -most, most
    lower, upper = -paired_upper(gains, losses, n, ALPHA), paired_upper(losses, gains, n, ALPHA)
    kept = paired_p_value(losses, gains, n, allowed) <= ALPHA
    broken = paired_p_value(gains, losses, n, -allowed) <= ALPHA
    beyond = math.nextafter(allowed, math.inf)
    return (
        max(lower, beyond) if broken else min(lower, allowed),
        min(upper, allowed) if kept else max(upper, beyond),
    )


def _right_wrong_to_tell(gap: float, spread: float) -> int:
    """From the normal approximation ``z * spread / sqrt(n) = |gap|``, and no fewer than items without spread take."""
    if abs(gap) < ROUNDING:
        return 0
    wanted = (NormalDist().inv_cdf(1 - ALPHA) * spread / gap) ** 2
    return math.ceil(max(wanted, math.log(ALPHA) / math.log1p(-min(abs(gap), 0.5))))


def _drop_of_graded(differences: Array, scale: Scale, allowed: float) -> _Promise:
    n, drop, width = len(differences), float(differences.mean()), scale.high - scale.low
    each = Scale(-width, width)
    lower, upper = mean_bounds(differences, each, ALPHA)
    sentence = (
        f"mean score dropped by {_number(drop)} (95 % bounds {_number(lower)} and {_number(upper)}; {n} items), "
        f"allowed {_number(allowed)}"
    )
    if not differences.any():
        sentence = _no_drop(n, upper, allowed)
    facts: dict[str, Scalar] = {"max_drop": allowed, "drop_lower": lower, "drop_upper": upper}
    gap = allowed - drop
    wanted = values_to_tell(differences, each, ALPHA, allowed) if abs(gap) >= ROUNDING else 0
    return _with_need(_outcome(upper <= allowed, lower > allowed), sentence, facts, n=n, wanted=wanted, gap=gap)


def _least_score(actual: Array, least: float, scale: Scale | None) -> _Promise:
    """Without a scale, scores are right/wrong."""
    n, score = len(actual), float(actual.mean())
    gap = score - least
    if scale is None:
        successes = int(actual.sum())
        lower, upper = binomial_lower(successes, n, ALPHA), binomial_upper(successes, n, ALPHA)
        wanted = _right_wrong_to_tell(gap, math.sqrt(score * (1 - score)))
    else:
        lower, upper = mean_bounds(actual, scale, ALPHA)
        wanted = values_to_tell(actual, scale, ALPHA, least) if abs(gap) >= ROUNDING else 0
    sentence = (
        f"scored {_number(score)} on {n} items (95 % bounds {_number(lower)} and {_number(upper)}), "
        f"at least {_number(least)} wanted"
    )
    facts: dict[str, Scalar] = {"min_score": least, "score_lower": lower, "score_upper": upper}
    return _with_need(_outcome(lower >= least, upper < least), sentence, facts, n=n, wanted=wanted, gap=gap)


def _with_need(
    outcome: Outcome, sentence: str, facts: dict[str, Scalar], *, n: int, wanted: int, gap: float
) -> _Promise:
    """Add to an INCONCLUSIVE sentence how many items would decide, if they behaved like those seen."""
    if outcome is not Outcome.INCONCLUSIVE:
        return _Promise(outcome, sentence, facts)
    if abs(gap) < ROUNDING:
        return _Promise(outcome, f"{sentence}; on the limit no number of items decides ({OR_THESE})", facts)
    more = max(wanted - n, math.ceil(n / 10), 1)
    need = f"needs about {_two_digits(more)} more items ({OR_THESE})"
    return _Promise(outcome, f"{sentence}; {need}", facts | {"more_items": more})


def _outcome(kept: bool, broken: bool) -> Outcome:
    if kept:
        return Outcome.PASS
    return Outcome.FAIL if broken else Outcome.INCONCLUSIVE


def _worst(outcomes: Iterator[Outcome]) -> Outcome:
    return max(outcomes, key=(Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL).index)


def _number(value: float) -> str:
    return f"{value:.3g}"


def _two_digits(count: int) -> str:
    digits = max(len(str(count)) - 2, 0)
    return f"{math.ceil(count / 10**digits) * 10**digits:,}".replace(",", " ")
