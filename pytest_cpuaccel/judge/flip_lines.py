"""The items that flipped, as lines below a failing verdict."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.measurement.accuracy import Flip
from pytest_cpuaccel.judge.promise import number

_MOST = 10


def flip_lines(flips: Sequence[Flip], backend: str) -> tuple[str, ...]:
    """Return a line for each of up to ten items, those that were lost first, and a line that counts the rest."""
    lost_first = sorted(flips, key=lambda flip: (not flip.is_lost, flip.item))
    lines = tuple(_line(flip, backend) for flip in lost_first[:_MOST])
    more = len(flips) - _MOST
    return (*lines, f"{more} more items flipped; a JSON report has them all") if more > 0 else lines


def _line(flip: Flip, backend: str) -> str:
    found = f"item {flip.item} {'lost' if flip.is_lost else 'gained'}: "
    if flip.answer is None or flip.eager_answer is None:
        return f"{found}eager scored {number(flip.eager_score)}, {backend} {number(flip.score)}"
    return f"{found}eager answered {shown(flip.eager_answer)}, {backend} {shown(flip.answer)}"
