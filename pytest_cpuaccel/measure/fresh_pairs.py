"""Fresh processes of two environments, in pairs: what they show of a limit to their ratio.

A start can't be repeated often. So nothing is assumed of how starts scatter: five of each side, in random order within
each pair, lie all beyond the limit by chance once in 252 times at most.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_cpuaccel.core.measurement.shown import Shown

Q = TypeVar("Q", bound=str)

PAIRS = 5
Figures = Mapping[Q, float]
"""What one fresh process took, by quantity."""


@dataclass
class FreshPairs:
    """What each side's processes took so far, by quantity; ``limit`` is the candidate's over the reference's."""

    limit: float
    candidate: dict[str, list[float]] = field(default_factory=dict)
    reference: dict[str, list[float]] = field(default_factory=dict)

    def shown(self, quantity: str) -> Shown:
        """Return what is shown; OPEN where processes of both sides lie on both sides of the limit, or are too few."""
        if len(self.candidate[quantity]) < PAIRS:
            return Shown.OPEN
        return self._apart(quantity)

    @property
    def is_hopeless(self) -> bool:
        """Tell whether no further pair could show anything of any quantity."""
        return all(self._apart(quantity) is Shown.OPEN for quantity in self.candidate)

    def _apart(self, quantity: str) -> Shown:
        ours, theirs = self.candidate[quantity], [self.limit * each for each in self.reference[quantity]]
        if min(ours) > max(theirs):
            return Shown.ABOVE
        return Shown.BELOW if max(ours) < min(theirs) else Shown.OPEN


def take_pairs(
    candidate: Callable[[], Figures[Q]], reference: Callable[[], Figures[Q]], limit: float, seed: int = 0
) -> FreshPairs:
    """Take ``PAIRS`` of one process each, fewer where they can't show anything any more."""
    found, draw = FreshPairs(limit), random.Random(seed)
    for _ in range(PAIRS):
        sides = [(candidate, found.candidate), (reference, found.reference)]
        draw.shuffle(sides)
        for start, taken in sides:
            for quantity, figure in start().items():
                taken.setdefault(quantity, []).append(figure)
        if found.is_hopeless:
            break
    return found
