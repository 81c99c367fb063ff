"""When scoring may end before the last item, and how sure a verdict must be then.

Looking again and again for a verdict at one level would find wrong ones more often than that level says. So the level
is spent (Lan and DeMets, Biometrika 70, 1983, 659-663): a fifth of it on all looks before the last item, in equal
parts, the rest on the last. Each look is one of the usual tests at its own level. By Bonferroni's inequality the
probability of a wrong verdict at any of them is their sum at most, however the looks hang together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cpuaccel.judge.promise import ALPHA

FIRST = 64
"""Items before the first look."""

GROWTH = math.sqrt(2)
"""How many times more items each further look has than the one before."""

EARLY = ALPHA / 5
"""The part of the level that all looks before the last item have together."""

WORTHWHILE = 0.9
"""The part of the items up to which a look can still save much."""


@dataclass(frozen=True)
class Look:
    """A look at the first ``items``.

    ``alpha`` is the probability of a wrong PASS, and of a wrong FAIL, that it may have.
    """

    items: int
    alpha: float


def looks(items: int, batch: int = 1) -> tuple[Look, ...]:
    """Return the looks at so many items, the last of them at all; those before it end with a whole batch."""
    early = tuple(_early(items, batch))
    if not early:
        return (Look(items, ALPHA),)
    return (*(Look(count, EARLY / len(early)) for count in early), Look(items, ALPHA - EARLY))


def _early(items: int, batch: int) -> Iterator[int]:
    wanted, before = float(FIRST), 0
    while (count := math.ceil(wanted / batch) * batch) <= WORTHWHILE * items:
        if count > before:
            yield count
        wanted, before = wanted * GROWTH, count
