"""The mean of all items of a kind, bounded by what some of them scored; items unlike those seen are reckoned with.

A t interval knows only the spread that it has seen: of equal values it has none, and four of them would prove anything.
Of rare great losses it sees too few to know their spread, and passes 6 to 7 % wrongly where 5 % are meant. The bound
here is Gaffke's ("Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable", Mathematical Methods of Statistics 14, 2005, 451-467). One value as high as a score can be is added to those
seen; the bound is the ``1 - alpha`` quantile of their mean under random weights, uniform among all that add up to 1. Of
right/wrong scores that is the exact bound (Clopper and Pearson, Biometrika 26, 1934, 404-413), of equal values the rule
of three, of many values that scatter the normal interval. That it holds for every distribution is conjectured; no
exception is known (Learned-Miller and Thomas, arXiv 1905.06208, 2019), nor was one found by ``benchmarks.graded``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.distribution import binomial_upper

Array = npt.NDArray[np.float64]

_STEP = 0.1
"""Distance of the points in the logarithm of the frequency; the sum over them is exact to 1e-8 within ``_FAR``."""
_POINTS = 16
"""Points that are looked at before it is asked whether the rest is too small to matter."""
_AT_ONCE = 4096
"""Values that are looked at together, at that many points."""
_FAR = 6.0
"""Standard deviations beyond which a sum is taken for certain: exponential variables pass them once in 1000 cases."""
_TINY = 1e-9
_ROUNDS = 60
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Scale:
    """The least and the greatest value that an item can have."""

    low: float
    high: float


def scale_of(scores: Array) -> Scale:
    """Return the scale that scores are taken to be on, for they do not say: 0 to 1 where all lie there.

    Of others only the range is known that they span together with 0; that no item lies outside it is an assumption.
    """
    least, greatest = float(scores.min()), float(scores.max())
    return Scale(0.0, max(greatest, 1.0)) if least >= 0 else Scale(least, max(greatest, 0.0))


def mean_bounds(values: Array, scale: Scale, alpha: float) -> tuple[float, float]:
    """Return the bounds of the mean, each at confidence ``1 - alpha``."""
    return 0.0 - _upper(-values, -scale.low, alpha), _upper(values, scale.high, alpha)


def _upper(values: Array, highest: float, alpha: float) -> float:
    """The upper bound of the mean; by false position on the normal quantile of the chance, which is nearly straight."""
    least, greatest = float(values.min()), float(values.max())
    if least == greatest:
        return least + binomial_upper(0, len(values), alpha) * (highest - least)
    each, counts = np.unique(np.append(values, highest), return_counts=True)
    low, high, side = float(np.average(each, weights=counts)), highest, 0
    wanted = _NORMAL.inv_cdf(alpha)

    def excess(bound: float) -> float:
        chance = _chance_above(each - bound, counts)
        return _NORMAL.inv_cdf(min(max(chance, _TINY), 1 - _TINY)) - wanted

    above, below = excess(low), _NORMAL.inv_cdf(_TINY) - wanted
    for _ in range(_ROUNDS):
        if high - low <= 1e-9 * (highest - least) or above <= 0:
            break
        bound = low + (high - low) * above / (above - below)
        found = excess(bound)
        if abs(found) < 1e-9:
            return bound
        if found > 0:
            low, above, below = bound, found, below / 2 if side > 0 else below
        else:
            high, below, above = bound, found, above / 2 if side < 0 else above
        side = 1 if found > 0 else -1
    return high


def _chance_above(weights: Array, counts: npt.NDArray[np.int64]) -> float:
    """The chance that a weighted sum of independent exponential variables is above 0 (Imhof, Biometrika 48, 1961).

    Weights that are uniform among those that add up to 1 are exponential variables over their sum.
    """
    size, mean = math.sqrt(float(weights**2 @ counts)), float(weights @ counts)
    if abs(mean) > _FAR * size:
        return float(mean > 0)
    total, first = 0.0, math.log(1e-7 / size)
    while True:
        frequencies = np.exp(first + _STEP * np.arange(_POINTS))
        angles, logs = np.zeros(_POINTS), np.zeros(_POINTS)
        for start in range(0, len(weights), _AT_ONCE):
            part = np.outer(frequencies, weights[start : start + _AT_ONCE])
            angles += np.arctan(part) @ counts[start : start + _AT_ONCE]
            logs += np.log1p(part * part) @ counts[start : start + _AT_ONCE]
        total += float((np.sin(angles) * np.exp(-logs / 2)).sum())
        if logs[-1] > 50:
            return 0.5 + _STEP * total / math.pi
        first += _STEP * _POINTS


def values_to_tell(values: Array, scale: Scale, alpha: float, limit: float) -> int:
    """Return about how many values would tell the mean from a limit, if all were like those seen."""
    mean, spread = float(values.mean()), spread_of(values)
    beyond = scale.high - mean if mean < limit else mean - scale.low
    gap, deviations = abs(mean - limit), _NORMAL.inv_cdf(1 - alpha)

    def reach(count: int) -> float:
        if not spread:
            return binomial_upper(0, count, alpha) * beyond
        return (beyond + deviations * math.sqrt(count * spread**2 + beyond**2)) / count

    low = high = 2
    while reach(high) > gap:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reach(middle) > gap else (low, middle)
    return high


def spread_of(values: Array) -> float:
    """Return the standard deviation; 0 of equal values, a single one included."""
    return float(values.std(ddof=1)) if values.min() < values.max() else 0.0
