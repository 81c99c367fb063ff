"""Accuracy: whether a backend scores as well as eager, item by item on the same items.

All statements are one-sided at 95 % confidence. Right/wrong scores are judged by exact tests, graded ones by
Student's paired t. A drop that is neither shown to be allowed nor shown to be too large is INCONCLUSIVE.
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
from pytest_cpuaccel.measure.distribution import binomial_lower, binomial_upper, t_quantile
from pytest_cpuaccel.measure.paired import paired_p_value, paired_upper

ALPHA = 0.05
"""Chance of a wrong PASS, and of a wrong FAIL, of each promise of the mark."""

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

    Scores that are all 0 or 1 (or bools) are right/wrong answers; any other are graded. Equal scores on every
    item keep any ``max_drop``, and the sentence says what so many items can show.

    Raises:
        UsageError: no scores, different numbers of scores, a score that is no finite number, or no budget.
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
    if budget.max_drop is not None:
        if np.array_equal(actual, expected):
            yield _identical(len(actual), budget.max_drop, right_wrong)
        elif right_wrong:
            yield _drop_of_right_wrong(actual, expected, budget.max_drop)
        else:
            yield _drop_of_graded(expected - actual, budget.max_drop)
    if budget.min_score is not None:
        yield _least_score(actual, budget.min_score, right_wrong)


def _identical(n: int, allowed: float, right_wrong: bool) -> _Promise:
    facts: dict[str, Scalar] = {"max_drop": allowed}
    shown = ""
    if right_wrong:
        upper = facts["drop_upper"] = binomial_upper(0, n, ALPHA)
        shown = f" (95 % upper bound {_number(upper)})"
    sentence = f"equal scores on all {n} items: no drop{shown}, allowed {_number(allowed)}"
    return _Promise(Outcome.PASS, sentence, facts)


def _drop_of_right_wrong(actual: Array, expected: Array, allowed: float) -> _Promise:
    n = len(actual)
    losses, gains = int((expected > actual).sum()), int((expected < actual).sum())
    drop = (losses - gains) / n
    lower, upper = -paired_upper(gains, losses, n, ALPHA), paired_upper(losses, gains, n, ALPHA)
    kept = paired_p_value(losses, gains, n, allowed) <= ALPHA
    broken = paired_p_value(gains, losses, n, -allowed) <= ALPHA
    spread = math.sqrt((losses + gains) / n - drop**2)
    outcome = _outcome(kept, broken)
    sentence = (
        f"dropped by {_number(drop)} (95 % bounds {_number(lower)} and {_number(upper)}; of {n} items "
        f"{losses} lost, {gains} gained), allowed {_number(allowed)}"
    )
    facts: dict[str, Scalar] = {
        "max_drop": allowed,
        "drop_lower": lower,
        "drop_upper": upper,
        "lost_items": losses,
        "gained_items": gains,
    }
    return _with_need(outcome, sentence, facts, n=n, gap=allowed - drop, spread=spread)


def _drop_of_graded(differences: Array, allowed: float) -> _Promise:
    """Student's paired t (Biometrika 6, 1908, 1-25)."""
    drop, margin, spread = _t_margin(differences)
    outcome = _outcome(drop + margin <= allowed, drop - margin > allowed)
    sentence = (
        f"mean score dropped by {_number(drop)} (95 % bounds {_number(drop - margin)} and "
        f"{_number(drop + margin)}; {len(differences)} items), allowed {_number(allowed)}"
    )
    facts: dict[str, Scalar] = {"max_drop": allowed}
    if math.isfinite(margin):
        facts |= {"drop_lower": drop - margin, "drop_upper": drop + margin}
    return _with_need(outcome, sentence, facts, n=len(differences), gap=allowed - drop, spread=spread)


def _least_score(actual: Array, least: float, right_wrong: bool) -> _Promise:
    n, score = len(actual), float(actual.mean())
    if right_wrong:
        successes = int(actual.sum())
        lower, upper = binomial_lower(successes, n, ALPHA), binomial_upper(successes, n, ALPHA)
        spread = math.sqrt(score * (1 - score))
    else:
        _, margin, spread = _t_margin(actual)
        lower, upper = score - margin, score + margin
    sentence = (
        f"scored {_number(score)} on {n} items (95 % bounds {_number(lower)} and {_number(upper)}), "
        f"at least {_number(least)} wanted"
    )
    facts: dict[str, Scalar] = {"min_score": least}
    if math.isfinite(lower) and math.isfinite(upper):
        facts |= {"score_lower": lower, "score_upper": upper}
    outcome = _outcome(lower >= least, upper < least)
    return _with_need(outcome, sentence, facts, n=n, gap=score - least, spread=spread)


def _t_margin(values: Array) -> tuple[float, float, float]:
    """Mean, half-width of its one-sided interval, standard deviation; one value alone bounds nothing."""
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.inf, 0.0
    spread = float(values.std(ddof=1))
    return mean, t_quantile(ALPHA, len(values) - 1) * spread / math.sqrt(len(values)), spread


def _with_need(
    outcome: Outcome, sentence: str, facts: dict[str, Scalar], *, n: int, gap: float, spread: float
) -> _Promise:
    """Add to an INCONCLUSIVE sentence how many items would decide, if they behaved like those seen.

    From the normal approximation ``z * spread / sqrt(n) = |gap|``, and no fewer than the ``ln(ALPHA) / ln(1 -
    |gap|)`` that even items without any spread take.
    """
    if outcome is not Outcome.INCONCLUSIVE:
        return _Promise(outcome, sentence, facts)
    if abs(gap) < 1e-9:
        return _Promise(outcome, f"{sentence}; it lies on the limit, where no number of items decides", facts)
    wanted = (NormalDist().inv_cdf(1 - ALPHA) * spread / gap) ** 2
    fewest = math.log(ALPHA) / math.log1p(-min(abs(gap), 0.5))
    more = max(math.ceil(max(wanted, fewest)) - n, math.ceil(n / 10), 1)
    return _Promise(outcome, f"{sentence}; needs about {_two_digits(more)} more items", facts | {"more_items": more})


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
