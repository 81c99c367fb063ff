"""What a model scored in one test, beside its reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, Flip
from pytest_cpuaccel.measure.accuracy import compare_scores


@dataclass(frozen=True)
class Scores:
    """``given`` items were to be scored; each was, unless the verdict was certain before.

    ``actual`` and ``expected`` are the scores of the same items under the backend and of the eager reference; ``alpha``
    is the level at which they are judged, where items were looked at more than once. A metric over all items has no
    scores: ``by_metric`` is what it gave.
    """

    given: int = 0
    actual: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()
    flipped: tuple[Flip, ...] = ()
    alpha: float | None = None
    by_metric: AccuracyMeasurement | None = None

    @property
    def stand_alone(self) -> bool:
        """Tell whether no scores of further items may be added."""
        return self.alpha is not None or self.by_metric is not None

    def plus(self, more: Scores) -> Scores:
        """Return these scores with those of further items, whose places count on from here."""
        moved = tuple(replace(flip, item=flip.item + self.given) for flip in more.flipped)
        return replace(
            more,
            given=self.given + more.given,
            actual=self.actual + more.actual,
            expected=self.expected + more.expected,
            flipped=self.flipped + moved,
        )

    def measured(self) -> AccuracyMeasurement:
        """Return the measurement that a verdict is made from.

        Raises:
            UsageError: a score is no finite number.
        """
        if self.by_metric is not None:
            return self.by_metric
        given = self.given if len(self.actual) < self.given else None
        return replace(compare_scores(self.actual, self.expected), flipped=self.flipped, given=given)
