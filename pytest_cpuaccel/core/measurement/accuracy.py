"""What a model scored on the same items under a backend and in eager mode."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairedScores:
    """The scores of the same items, in the same order; higher is better."""

    actual: tuple[float, ...]
    expected: tuple[float, ...]

    @property
    def are_right_or_wrong(self) -> bool:
        """Tell whether all are 0 or 1, so that exact tests hold at every level and for any number of items."""
        return all(score in (0, 1) for side in (self.actual, self.expected) for score in side)


@dataclass(frozen=True)
class Flip:
    """An item whose score moved by half of the scale or more: of right/wrong scores, one that was lost or gained.

    ``item`` is its place among the items, from 0. The answers are texts; None where the test gave none.
    """

    item: int
    score: float
    eager_score: float
    answer: str | None = None
    eager_answer: str | None = None

    @property
    def is_lost(self) -> bool:
        """Tell whether eager scored higher."""
        return self.score < self.eager_score


@dataclass(frozen=True)
class AccuracyMeasurement:
    """``score`` and ``eager_score`` are means over ``items``, ``drop`` the mean of what each item scored less.

    With a ``metric``, the name of one over all items, these are its values and their difference, and ``scores`` its
    values over resampled items, the same for both: none if no claim beyond these items was made. Without one they are
    the scores of items. They are None where a report does not keep them. ``given`` are the items of which some were
    left out because the verdict was certain before; None: all were scored.
    """

    items: int
    score: float
    eager_score: float
    drop: float
    scores: PairedScores | None = None
    flipped: tuple[Flip, ...] = ()
    given: int | None = None
    metric: str | None = None

    @property
    def is_early(self) -> bool:
        """Tell whether items were left out."""
        return self.given is not None and self.items < self.given
