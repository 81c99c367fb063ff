"""What was found of one promise of the mark ``accuracy_budget``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pytest_cpuaccel.core.bounds import Bounds
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.verdict import Outcome

ALPHA = 0.05
"""Probability of a wrong PASS, and of a wrong FAIL, of each promise of the mark."""

ROUNDING = 1e-9
"""A mean that exceeds a limit by less does so by rounding: three of 300 lost items are 1 %."""

OR_THESE = 'or of="these" if these items are all there is'


@dataclass(frozen=True)
class Promise:
    """The outcome, the sentence that says so, and the bounds behind it."""

    outcome: Outcome
    sentence: str
    bounds: Bounds


def outcome_of(kept: bool, broken: bool) -> Outcome:
    """Return the outcome of a promise that was shown to be kept, shown to be broken, or neither."""
    if kept:
        return Outcome.PASS
    return Outcome.FAIL if broken else Outcome.INCONCLUSIVE


@dataclass(frozen=True)
class Found:
    """The least and the greatest value that both sides were found to have; ``lie`` says of what: ``scores lie``."""

    low: float
    high: float
    lie: str

    def check_drop(self, allowed: float) -> None:
        """Check that not every drop is allowed.

        Raises:
            UsageError: every drop is, as one of 5 where values lie between 0 and 1.
        """
        if self._within_one and allowed >= (2 if self.low < 0 else 1):
            raise UsageError(
                f"accuracy_budget(max_drop=): {self.lie} between {self._bottom} and 1 here, so that {number(allowed)} "
                f'would allow any drop; write "{number(allowed)}%" or {number(allowed / 100)}'
            )

    def check_points(self, promise: Promise, drop: float) -> None:
        """Check that a drop that is too large was not measured by a fraction where values are percentages.

        Raises:
            UsageError: it was, and as a percentage it is not shown to be too large.
        """
        allowed = promise.bounds.limit
        if promise.outcome is not Outcome.PASS and self._are_percentages and 0 < allowed < 1 and drop <= 100 * allowed:
            points = f"{number(100 * allowed)} point{'s' * (100 * allowed != 1)}"
            raise UsageError(
                f"accuracy_budget(max_drop=): {self.lie} between {number(self.low)} and {number(self.high)} here, "
                f'where {number(allowed)} is {number(allowed)} of 100; write "{points}" for {number(100 * allowed)} %'
            )

    def check_least(self, least: float, eager: float) -> None:
        """Check that a least value is on the scale of those found; ``eager`` is that of eager.

        Raises:
            UsageError: it is a percentage where values lie between 0 and 1, or the other way round.
        """
        if self._within_one and least > 1:
            meant = f"{number(least / 100)} for {number(least)} %" if least <= 100 else "0.9 for 90 %"
            raise UsageError(
                f"accuracy_budget(min_score=): {self.lie} between {self._bottom} and 1 here and never reach "
                f"{number(least)}; write {meant}"
            )
        if self._are_percentages and 0 < least <= 1 and eager >= _VACUOUS * least:
            raise UsageError(
                f"accuracy_budget(min_score=): {self.lie} between {number(self.low)} and {number(self.high)} here, and "
                f"eager's is {number(eager)}, so that {number(least)} would allow nearly any; write "
                f"{number(100 * least)} for {number(100 * least)} %"
            )

    @property
    def _within_one(self) -> bool:
        return self.low >= -1 and self.high <= 1

    @property
    def _bottom(self) -> str:
        return "-1" if self.low < 0 else "0"

    @property
    def _are_percentages(self) -> bool:
        return self.low >= 0 and 10 < self.high <= 100


_VACUOUS = 50
"""Times a least score that eager scores if the one is a fraction and the other a percentage."""


def beside_eager(promise: Promise, eager: float, bounds: tuple[float, float]) -> Promise:
    """Return a promise of a least score, held to what eager itself scores: what eager misses is no backend's.

    ``bounds`` are those of eager's score. The FAIL of a backend stays where eager keeps the promise, or is shown to
    score more than the backend. It is INCONCLUSIVE where eager seems to miss the promise.

    Raises:
        UsageError: eager is shown to miss it, and the backend not to keep it.
    """
    least = promise.bounds.limit
    if promise.outcome is Outcome.PASS or eager >= least - ROUNDING:
        return promise
    if bounds[1] < least - ROUNDING:
        shown = "" if bounds == (eager, eager) else f" (95 % bounds {number(bounds[0])} and {number(bounds[1])})"
        raise UsageError(
            f"accuracy_budget(min_score=): eager itself scores {number(eager)}{shown}, at least {number(least)} "
            "wanted: no backend can be blamed for that; ask for less, or look at the model and the items"
        )
    upper = promise.bounds.upper
    if promise.outcome is Outcome.FAIL and (upper is None or upper >= bounds[0]):
        sentence = (
            f"{promise.sentence}; eager itself scores {number(eager)}, so that it need not be the backend's doing"
        )
        return replace(promise, outcome=Outcome.INCONCLUSIVE, sentence=sentence)
    return promise


def number(value: float) -> str:
    """Return a score in three digits."""
    return f"{value:.3g}"


def with_need(promise: Promise, *, n: int, wanted: int, gap: float) -> Promise:
    """Add to an INCONCLUSIVE promise how many items would decide, if they behaved like those seen.

    ``wanted`` is that number; ``gap`` how far off the limit lies.
    """
    if promise.outcome is not Outcome.INCONCLUSIVE:
        return promise
    if abs(gap) < ROUNDING:
        return replace(promise, sentence=f"{promise.sentence}; on the limit no number of items decides ({OR_THESE})")
    more = max(wanted - n, math.ceil(n / 10), 1)
    return replace(
        promise,
        sentence=f"{promise.sentence}; needs about {_two_digits(more)} more items ({OR_THESE})",
        bounds=replace(promise.bounds, more_items=more),
    )


def _two_digits(count: int) -> str:
    digits = max(len(str(count)) - 2, 0)
    return f"{math.ceil(count / 10**digits) * 10**digits:,}".replace(",", " ")
