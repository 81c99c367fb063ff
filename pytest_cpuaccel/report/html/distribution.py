"""The speed-ups of single pairs as a plot: a histogram, or a line for each of few pairs."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_cpuaccel.report.html.scale import Scale

WIDTH, HEIGHT = 132, 26
"""Pixels of the plot, without the numbers below it."""
_BINS = 33
_FEW = 30
"""So many pairs are drawn one by one."""
_SHOWN = 0.99
"""The share of the pairs that a histogram shows: one call that was held up would squeeze all others into a line."""
_LEAST_RANGE = 1.01


@dataclass(frozen=True)
class Distribution:
    """``path`` draws the pairs: an area, or lines if ``lines``. ``one`` is the pixel of 1x, None if it is outside.

    ``low`` and ``high`` are the ends of what is drawn, ``median`` the pixel of the median. ``label`` says it in words.
    """

    path: str
    lines: bool
    low: str
    high: str
    median: float
    one: float | None
    label: str


def distribution_of(pairs_ns: Sequence[tuple[float, float]]) -> Distribution | None:
    """Return the plot of pairs ``(candidate, reference)`` in ns; None for less than two."""
    speeds = sorted(theirs / ours for ours, theirs in pairs_ns if ours > 0 and theirs > 0)
    if len(speeds) < 2:
        return None
    few = len(speeds) <= _FEW
    low, high = _ends(speeds, 1.0 if few else _SHOWN)
    scale = Scale(low, high, WIDTH)
    median = _quantile(speeds, 0.5)
    return Distribution(
        path=_lines(speeds, scale) if few else _area(speeds, scale),
        lines=few,
        low=f"{low:.2f}x",
        high=f"{high:.2f}x",
        median=scale.x(median),
        one=scale.x(1.0) if scale.holds(1.0) else None,
        label=_label(speeds, median, all_drawn=few),
    )


def _ends(speeds: Sequence[float], share: float) -> tuple[float, float]:
    low, high = (_quantile(speeds, level) for level in ((1 - share) / 2, (1 + share) / 2))
    if high / low >= _LEAST_RANGE:
        return low, high
    middle, factor = math.sqrt(low * high), math.sqrt(_LEAST_RANGE)
    return middle / factor, middle * factor


def _quantile(ordered: Sequence[float], level: float) -> float:
    return ordered[round(level * (len(ordered) - 1))]


def _lines(speeds: Sequence[float], scale: Scale) -> str:
    return "".join(f"M{scale.x(speed):g} 3V{HEIGHT}" for speed in speeds)


def _area(speeds: Sequence[float], scale: Scale) -> str:
    """The outline of a histogram whose bins are equally wide on the scale."""
    edges = [scale.low * (scale.high / scale.low) ** (place / _BINS) for place in range(1, _BINS)]
    places = [bisect_left(speeds, scale.low), *(bisect_left(speeds, edge) for edge in edges)]
    counts = [after - before for before, after in pairwise((*places, bisect_right(speeds, scale.high)))]
    tallest = max(*counts, 1)
    step = WIDTH / _BINS
    tops = (f"V{HEIGHT * (1 - count / tallest):.0f}H{(place + 1) * step:g}" for place, count in enumerate(counts))
    return f"M0 {HEIGHT}{''.join(tops)}V{HEIGHT}Z"


def _label(speeds: Sequence[float], median: float, *, all_drawn: bool) -> str:
    lower, upper = _quantile(speeds, 0.25), _quantile(speeds, 0.75)
    rest = "" if all_drawn else "; the outer 1 % is not drawn"
    return (
        f"{len(speeds)} pairs: median {median:.2f}x, half of them from {lower:.2f}x to {upper:.2f}x, "
        f"all from {speeds[0]:.2f}x to {speeds[-1]:.2f}x{rest}"
    )
