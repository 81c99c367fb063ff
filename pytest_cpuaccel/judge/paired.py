"""The exact paired test: whether one of two classifiers, scored on the same items, is right more often."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.distribution import binomial_lower, binomial_upper

NUISANCE_ALPHA = 1e-4
"""Part of a p-value that pays for bounding the rate of gains (Berger and Boos, 1994)."""

NUISANCE_POINTS = 21

Array = npt.NDArray[np.float64]


def paired_p_value(losses: int, gains: int, n: int, drop: float) -> float:
    """Return the p-value of "the true drop is at least ``drop``", small when the drop is shown to be smaller.

    ``losses`` of the ``n`` items only eager got right, ``gains`` only the backend; their true rates are p
    and q, and the drop is p - q, in (-1, 1). The exact unconditional test: the chance, under p = q + drop,
    of a table whose score statistic (Tango, Statistics in Medicine 17, 1998, 891-908) is as small as the
    one seen, made as large as it gets over q, where q is kept to its exact interval (Berger and Boos, JASA
    89, 1994, 1012-1016).
    """
    if losses - gains >= n * drop:
        return 1.0
    seen = _score_statistic(np.array([float(losses)]), np.array([float(gains)]), n, drop)[0]
    lowest, highest = max(0.0, -drop), (1 - drop) / 2
    low = min(max(lowest, binomial_lower(gains, n, NUISANCE_ALPHA / 2)), highest)
    high = max(min(highest, binomial_upper(gains, n, NUISANCE_ALPHA / 2)), low)
    most_losses = _most_losses(seen, n, drop)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    chances = (_table_chance(q + drop, q, most_losses, log_factorial) for q in np.linspace(low, high, NUISANCE_POINTS))
    return min(1.0, max(chances) + NUISANCE_ALPHA)


def paired_upper(losses: int, gains: int, n: int, alpha: float) -> float:
    """Return the upper bound of the drop at confidence ``1 - alpha``, to 1e-4: :func:`paired_p_value` inverted."""
    low, step = (losses - gains) / n, 1 / n
    while (high := min(low + step, 1.0)) < 1 and paired_p_value(losses, gains, n, high) > alpha:
        low, step = high, 2 * step
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if paired_p_value(losses, gains, n, middle) <= alpha else (middle, high)
    return high


def _score_statistic(losses: Array, gains: Array, n: int, drop: float) -> Array:
    """Tango's score statistic; it grows with ``losses`` and shrinks with ``gains``."""
    b = (2 * n - losses + gains) * drop - losses - gains
    c = -gains * drop * (1 - drop)
    rate = (np.sqrt(np.maximum(b * b - 8 * n * c, 0)) - b) / (4 * n)
    variance = n * (2 * rate + drop * (1 - drop))
    distance = losses - gains - n * drop
    return np.where(variance > 1e-12, distance / np.sqrt(np.maximum(variance, 1e-12)), 0.0)


def _most_losses(seen: float, n: int, drop: float) -> npt.NDArray[np.int64]:
    """For each number of gains 0..n, the most losses whose statistic is at most ``seen``; -1 for none."""
    gains = np.arange(n + 1, dtype=np.float64)
    low, high = np.full(n + 1, -1), n - np.arange(n + 1)
    while (low < high).any():
        middle = (low + high + 1) // 2
        fits = _score_statistic(middle.astype(np.float64), gains, n, drop) <= seen + 1e-9
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    return low


def _table_chance(p: float, q: float, most_losses: npt.NDArray[np.int64], log_factorial: Array) -> float:
    """The trinomial chance of at most ``most_losses[gains]`` losses; tails of 1e-8 are left out."""
    n = len(log_factorial) - 1
    gains = _likely_counts(n, q)[:, None]
    losses = _likely_counts(n, p)[None, :]
    rest = n - gains - losses
    inside = (rest >= 0) & (losses <= most_losses[gains])
    rest = np.maximum(rest, 0)
    log_chance = (
        log_factorial[n]
        - log_factorial[gains]
        - log_factorial[losses]
        - log_factorial[rest]
        + _times_log(gains, q)
        + _times_log(losses, p)
        + _times_log(rest, max(1 - p - q, 0.0))
    )
    return float(np.exp(log_chance[inside]).sum())


def _likely_counts(n: int, rate: float) -> npt.NDArray[np.int64]:
    reach = 6 * math.sqrt(n * rate * (1 - rate)) + 15
    return np.arange(max(0, math.floor(n * rate - reach)), min(n, math.ceil(n * rate + reach)) + 1)


def _times_log(count: npt.NDArray[np.int64], rate: float) -> Array:
    """``count * log(rate)``, with 0 * log(0) = 0."""
    return np.where(count == 0, 0.0, count * math.log(max(rate, 1e-300)))
