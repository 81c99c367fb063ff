"""Exact tails and quantiles of the binomial and Student's t distributions, from one special function."""

from __future__ import annotations

import math
from collections.abc import Callable


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) for a, b > 0.

    Lentz's evaluation of the continued fraction DLMF 8.17.22 (https://dlmf.nist.gov/8.17), good to about
    1e-13.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1 - incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _continued_fraction(x, a, b))


def binomial_lower(successes: int, n: int, alpha: float) -> float:
    """Return the exact lower bound of a proportion at confidence 1 - alpha (Clopper and Pearson, 1934)."""
    if successes == 0:
        return 0.0
    return _root(lambda p: incomplete_beta(p, successes, n - successes + 1) - alpha, 0, 1)


def binomial_upper(successes: int, n: int, alpha: float) -> float:
    """Return the exact upper bound of a proportion at confidence 1 - alpha (Clopper and Pearson, 1934)."""
    return 1 - binomial_lower(n - successes, n, alpha)


def t_quantile(alpha: float, degrees: float) -> float:
    """Return what Student's t with ``degrees`` degrees of freedom exceeds with chance alpha < 1/2."""
    # P(T > t) = I_x(degrees / 2, 1 / 2) / 2 at x = degrees / (degrees + t^2): DLMF 8.17(i), t distribution.
    x = _root(lambda x: incomplete_beta(x, degrees / 2, 0.5) / 2 - alpha, 0, 1)
    return math.sqrt(degrees * (1 - x) / x)


def _root(increasing: Callable[[float], float], low: float, high: float) -> float:
    """Bisect to the last bit of a float."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return high


def _continued_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    value = c = 1.0
    d = 0.0
    for step in range(1, 10_000):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + term * d) or tiny)
        c = (1 + term / c) or tiny
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
