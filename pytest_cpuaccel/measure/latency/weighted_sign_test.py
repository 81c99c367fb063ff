"""A weighted sign test: evidence from ratios by their distance from a limit, not by their signs alone.

Every bettor of the mixture stakes ``tanh(effect (y - k) / s)`` on a log ratio ``y`` and the logarithm ``k`` of a limit,
where ``s`` is the spread of the ratios before this one: much on a ratio far off, little on one nearby. Of normal noise
that is the best stake for a true distance of ``effect`` spreads: the likelihood ratio given the size. It takes about
two thirds of the pairs that signs take (``2/pi`` is the efficiency of a sign test; Lehmann, "Nonparametrics", 1975),
and more than signs where a few ratios lie far off.

What it takes for granted: given the ratios before and its own distance from ``k``, a log ratio is as likely above its
true centre as below. Then wealth at the true centre is a supermartingale, as in
:mod:`pytest_cpuaccel.measure.latency.e_values`, and reaches ``1/alpha`` with probability ``alpha`` at most. As the
spread does not depend on ``k``, evidence falls as ``k`` grows: what shows that the centre is above a limit shows it of
every lower one, and the limits that are not excluded are an interval.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cpuaccel.measure.latency.e_values import log_mean_exp

EFFECTS = (0.25, 0.5, 1.0, 2.0)
"""True distances from the limit, in units of one ratio's spread, for which each bettor stakes best."""

MOST_STAKED = 0.98
"""Share of its wealth: a bettor never stakes everything, or one loss would end it."""

FEW = 5
FIRST_SPREAD = 0.03
FIRST_STAKED = 0.6
"""Fewer ratios than ``FEW`` tell no spread: a usual one stands for it, and less is staked."""

LEAST_SPREAD = 1e-4
"""No clock tells ratios apart by less."""

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of a normal deviate: an interquartile range over this estimates a spread."""


@dataclass(frozen=True)
class WeightedSigns:
    """``above`` and ``below`` are log wealths of the bettors on ratios above and below; ``seen`` are sorted logs."""

    above: tuple[float, ...] = (0.0,) * len(EFFECTS)
    below: tuple[float, ...] = (0.0,) * len(EFFECTS)
    seen: tuple[float, ...] = ()

    def then(self, ratio: float, limit: float) -> WeightedSigns:
        """Return the test with one more ratio; one exactly at the limit counts for neither direction."""
        log_ratio = math.log(ratio)
        spread, most = _stake_on(self.seen)
        stakes = [most * math.tanh(effect * (log_ratio - math.log(limit)) / spread) for effect in EFFECTS]
        seen = list(self.seen)
        insort(seen, log_ratio)
        return WeightedSigns(_staked(self.above, stakes, 1), _staked(self.below, stakes, -1), tuple(seen))

    @property
    def log_evidence_above(self) -> float:
        """``log E`` against a centre at the limit or below."""
        return log_mean_exp(self.above)

    @property
    def log_evidence_below(self) -> float:
        """``log E`` against a centre at the limit or above."""
        return log_mean_exp(self.below)


def weighed_low(ratios: Sequence[float], alpha: float) -> float:
    """Return the greatest limit that the ratios, in the order they came, are shown to lie above; 0 for none.

    It exceeds their centre with probability ``alpha`` at most, however often it is looked at.
    """
    return 1 / weighed_high([1 / ratio for ratio in ratios], alpha)


def weighed_high(ratios: Sequence[float], alpha: float) -> float:
    """Return the least limit that the ratios, in the order they came, are shown to lie below; infinite for none.

    It falls short of their centre with probability ``alpha`` at most, however often it is looked at.
    """
    logs = np.log(ratios)
    seen: list[float] = []
    spreads, most = np.empty(len(logs)), np.empty(len(logs))
    for place, value in enumerate(logs.tolist()):
        spreads[place], most[place] = _stake_on(seen)
        insort(seen, value)

    def shown(limit: float) -> bool:
        distances = (limit - logs) / spreads
        wealths = [float(np.log1p(most * np.tanh(effect * distances)).sum()) for effect in EFFECTS]
        return log_mean_exp(wealths) >= -math.log(alpha)

    low, high = seen[0], seen[-1] + 40 * float(spreads.max())
    if not shown(high):
        return math.inf
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if shown(middle) else (middle, high)
    return math.exp(high)


def _stake_on(seen: Sequence[float]) -> tuple[float, float]:
    """The spread of the sorted logarithms seen so far, and the most that is staked on the next."""
    count = len(seen)
    if count < FEW:
        return FIRST_SPREAD, FIRST_STAKED
    rank = math.ceil(count / 4) - 1
    return max((seen[-1 - rank] - seen[rank]) / NORMAL_QUARTILES, LEAST_SPREAD), MOST_STAKED


def _staked(wealths: Sequence[float], stakes: Sequence[float], won: int) -> tuple[float, ...]:
    return tuple(wealth + math.log1p(won * stake) for wealth, stake in zip(wealths, stakes, strict=True))
