"""The mean of all items of a kind, bounded by what some of them scored; items unlike those seen are reckoned with.

A t interval alone knows only the spread that it has seen: of equal values it has none, and four of them would prove
anything. But ``n`` values, none above their greatest, leave room for a share of greater ones: ``1 - alpha ** (1 / n)``
at confidence ``1 - alpha``, about ``3 / n`` (the rule of three: Hanley and Lippman-Hand, JAMA 249, 1983, 1743-1745; for
the greatest of a sample, Wilks, Annals of Mathematical Statistics 12, 1941, 91-96). Those are taken to lie as far off
as a score can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.distribution import binomial_upper, t_quantile

Array = npt.NDArray[np.float64]


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
    """Return the bounds of the mean, each at confidence ``1 - alpha``.

    Half of ``alpha`` pays for Student's t (Biometrika 6, 1908, 1-25), half for the values beyond those seen; of equal
    values the mean of those seen needs no bound.
    """
    mean, spread = float(values.mean()), spread_of(values)
    each = alpha / 2 if spread else alpha
    margin = t_quantile(each, len(values) - 1) * spread / math.sqrt(len(values)) if spread else 0.0
    unseen = binomial_upper(0, len(values), each)
    low = mean - margin - unseen * (float(values.min()) - scale.low)
    high = mean + margin + unseen * (scale.high - float(values.max()))
    return max(low, scale.low), min(high, scale.high)


def values_to_tell(values: Array, scale: Scale, alpha: float, limit: float) -> int:
    """Return about how many values would tell the mean from a limit, if all were like those seen."""
    below = float(values.mean()) < limit
    beyond = scale.high - float(values.max()) if below else float(values.min()) - scale.low
    gap, spread = abs(float(values.mean()) - limit), spread_of(values)
    each = alpha / 2 if spread else alpha

    def reach(count: int) -> float:
        margin = t_quantile(each, count - 1) * spread / math.sqrt(count) if spread else 0.0
        return margin + binomial_upper(0, count, each) * beyond

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
