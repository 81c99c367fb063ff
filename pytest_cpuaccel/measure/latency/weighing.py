"""A weighing: evidence from ratios by how far they lie from a limit, not by their signs alone.

Whether a ratio lies above the limit is staked on by its size, before its sign is looked at: much on one that lies far
off, little on one nearby. Where log ratios scatter evenly about one peak that is no higher than the limit's
logarithm, the sign of a distance of given size is up with probability 1/2 at most, so wealth is a supermartingale as in
:mod:`pytest_cpuaccel.measure.latency.evidence`, and reaches ``1/alpha`` with probability ``alpha`` at most. Of normal
noise the best stake on a distance ``x`` is ``tanh(effect * x / sd)``, for ``effect`` the true distance over its spread
``sd``: the likelihood ratio given the size. It takes about two thirds of the pairs that signs take (``2/pi`` is the
efficiency of a sign test; Lehmann, "Nonparametrics", 1975), and more than signs where a few ratios lie far off.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cpuaccel.measure.latency.evidence import log_mean_exp

EFFECTS = (0.25, 0.5, 1.0, 2.0)
"""True distances from the limit, in units of one ratio's spread, for which each bettor stakes best."""

MOST_STAKED = 0.98
"""Of its wealth; who stakes all is out at the first surprise."""

NORMAL_MEDIAN = 0.6745
"""Median size of a normal deviate, by which a median size estimates a spread."""


@dataclass(frozen=True)
class Weighing:
    """``above`` and ``below`` are log wealths of the bettors on ratios above and below; ``sizes`` are sorted."""

    above: tuple[float, ...] = (0.0,) * len(EFFECTS)
    below: tuple[float, ...] = (0.0,) * len(EFFECTS)
    sizes: tuple[float, ...] = ()

    def then(self, ratio: float, limit: float) -> Weighing:
        """Return the weighing with one more ratio; one exactly at the limit speaks for neither side."""
        distance = math.log(ratio / limit)
        if not distance:
            return self
        sizes = list(self.sizes)
        insort(sizes, abs(distance))
        stakes = _stakes(abs(distance), sizes)
        up, down = (1, -1) if distance > 0 else (-1, 1)
        return Weighing(_staked(self.above, stakes, up), _staked(self.below, stakes, down), tuple(sizes))

    @property
    def log_evidence_above(self) -> float:
        """``log E`` against a median ratio of the limit or less."""
        return log_mean_exp(self.above)

    @property
    def log_evidence_below(self) -> float:
        """``log E`` against a median ratio of the limit or more."""
        return log_mean_exp(self.below)


def _stakes(size: float, sizes: Sequence[float]) -> list[float]:
    """What each bettor stakes on a distance of this size, which is among the sizes: they tell nothing of its sign."""
    spread = (sizes[(len(sizes) - 1) // 2] + sizes[len(sizes) // 2]) / 2 / NORMAL_MEDIAN
    return [MOST_STAKED * math.tanh(effect * size / spread) for effect in EFFECTS]


def _staked(wealths: Sequence[float], stakes: Sequence[float], won: int) -> tuple[float, ...]:
    return tuple(wealth + math.log1p(won * stake) for wealth, stake in zip(wealths, stakes, strict=True))
