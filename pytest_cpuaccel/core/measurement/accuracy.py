"""What a model scored on the same items under a backend and in eager mode."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairedScores:
    """The scores of the same items, in the same order; higher is better."""

    actual: tuple[float, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True)
class AccuracyMeasurement:
    """``score`` and ``eager_score`` are means over ``items``, ``drop`` the mean of what each item scored less.

    ``scores`` are None where a report does not keep them.
    """

    items: int
    score: float
    eager_score: float
    drop: float
    scores: PairedScores | None = None
