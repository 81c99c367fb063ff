"""What a sample shows of a quantity that a mark limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bounds:
    """``quantity`` is the drop, limited from above, or the score, limited from below; ``limit`` is what is allowed.

    ``lower`` and ``upper`` hold for all items of the kind, each at 95 % confidence; they are None where the claim is of
    the given items alone. ``lost_items`` and ``gained_items`` are counts of right/wrong scores. ``more_items`` would
    decide what is undecided.
    """

    quantity: Literal["drop", "score"]
    limit: float
    lower: float | None = None
    upper: float | None = None
    lost_items: int | None = None
    gained_items: int | None = None
    more_items: int | None = None
