"""Exact bounds on a share seen in few evaluations."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log, log1p


def bounds(successes: int, evaluations: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of the success rate (Clopper and Pearson, 1934)."""
    tail = (1 - confidence) / 2
    low = _root(lambda rate: _at_least(successes, evaluations, rate) - tail) if successes else 0.0
    high = _root(lambda rate: tail - _at_most(successes, evaluations, rate)) if successes < evaluations else 1.0
    return low, high


def _at_least(successes: int, evaluations: int, rate: float) -> float:
    return sum(_exactly(count, evaluations, rate) for count in range(successes, evaluations + 1))


def _at_most(successes: int, evaluations: int, rate: float) -> float:
    return sum(_exactly(count, evaluations, rate) for count in range(successes + 1))


def _exactly(successes: int, evaluations: int, rate: float) -> float:
    """By logarithms, since from 1030 evaluations on the number of arrangements is too large for a float."""
    failures = evaluations - successes
    arrangements = lgamma(evaluations + 1) - lgamma(successes + 1) - lgamma(failures + 1)
    return exp(arrangements + successes * log(rate) + failures * log1p(-rate))


def _root(increasing: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if increasing(middle) < 0:
            low = middle
        else:
            high = middle
    return low
