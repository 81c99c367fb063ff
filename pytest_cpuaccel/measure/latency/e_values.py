"""Evidence from a growing run of signs, valid however often it is looked at.

Evidence is the wealth of a bettor who starts with 1 and, before every trial, stakes a share of it on success
at the odds of the null hypothesis. If P(success | past) never exceeds ``null``, wealth is a nonnegative
supermartingale, so by Ville's inequality it ever reaches ``1/alpha`` with probability at most ``alpha``.
(Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024.)
Wealth is kept as a logarithm because a long run of one sign overflows a float.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

RATES = (0.53, 0.56, 0.60, 0.65, 0.70, 0.76, 0.82, 0.88, 0.94, 0.99)
"""True success rates against a null of 1/2 for which each bettor of the mixture stakes best."""

STAKES = tuple(2 * rate - 1 for rate in RATES)


def log_evidence(successes: int, trials: int, null: float = 0.5) -> float:
    """Return ``log E`` against ``P(success) <= null``: the mean wealth over ``STAKES``.

    For ``null = 1/2`` this is the mean over ``RATES`` of ``(2p)^s (2(1-p))^(n-s)``.
    """
    logs = [successes * win + (trials - successes) * loss for win, loss in _growth(null)]
    return log_mean_exp(logs)


def log_evidence_of_rarity(successes: int, trials: int, null: float) -> float:
    """Return ``log E`` against ``P(success) <= null``, best when failures are rarer still than ``1 - null``.

    Half the starting wealth is staked whole on every trial, and lost at the first failure; the other half
    follows :func:`log_evidence`. A rate of 99 % is thus shown at alpha 0.01 by 528 clean trials.
    """
    careful = log_evidence(successes, trials, null)
    if successes < trials:
        return careful - math.log(2)
    return log_mean_exp([careful, -trials * math.log(null)])


@lru_cache(maxsize=4096)
def critical(trials: int, alpha: float) -> int:
    """Return the fewest successes of ``trials`` whose evidence against 1/2 reaches ``1/alpha``.

    ``trials + 1`` when none is enough.
    """
    low, high = 0, trials + 1
    while low < high:
        middle = (low + high) // 2
        if log_evidence(middle, trials) >= -math.log(alpha):
            high = middle
        else:
            low = middle + 1
    return low


def median_interval(values: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return an interval that holds the median at all sample sizes at once, with probability ``1 - 2 alpha``.

    It is every median that neither sign test has rejected. ``(0, inf)``, all that a ratio can be, while there are
    too few values.
    """
    return median_low(values, alpha), median_high(values, alpha)


def median_low(values: Sequence[float], alpha: float) -> float:
    """Return what exceeds the median with probability ``alpha`` at most, however often it is looked at; 0 for too few.

    It is ``v_(n-c+1)`` of the sorted values with ``c = critical(n, alpha)``: so many lie above every lower limit.
    """
    rank = critical(len(values), alpha)
    return sorted(values)[len(values) - rank] if rank <= len(values) else 0.0


def median_high(values: Sequence[float], alpha: float) -> float:
    """Return what falls short of the median with probability ``alpha`` at most; infinite for too few values.

    It is ``v_(c)`` of the sorted values with ``c = critical(n, alpha)``.
    """
    rank = critical(len(values), alpha)
    return sorted(values)[rank - 1] if rank <= len(values) else math.inf


@lru_cache(maxsize=64)
def fewest_trials(alpha: float) -> int:
    """Return how many equal signs it takes to reach ``1/alpha``; with fewer values a median has no bound."""
    trials = 1
    while critical(trials, alpha) > trials:
        trials += 1
    return trials


def log_mean_exp(logs: Sequence[float]) -> float:
    """Return ``log(mean(exp(x) for x in logs))``, of logarithms too large for that."""
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


@lru_cache(maxsize=64)
def _growth(null: float) -> tuple[tuple[float, float], ...]:
    """Logarithms of what a success and a failure multiply each bettor's wealth by, at fair odds."""
    odds = (1 - null) / null
    return tuple((math.log1p(stake * odds), math.log1p(-stake)) for stake in STAKES)
