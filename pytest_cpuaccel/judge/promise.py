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


def check_drop(allowed: float, what: str, *, within_one: bool) -> None:
    """Check that not every drop is allowed; ``what`` says of which values, ``within_one`` whether they are 0 to 1.

    Raises:
        UsageError: every drop is.
    """
    if within_one and allowed >= 1:
        raise UsageError(
            f"accuracy_budget(max_drop=): {what} between 0 and 1 here, so that {number(allowed)} would allow any "
            f'drop; write "{number(allowed)}%" or {number(allowed / 100)}'
        )


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
