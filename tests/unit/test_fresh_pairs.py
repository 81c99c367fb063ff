"""Fresh processes show a limit only where all of one side lie beyond all of the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.fresh_pairs import PAIRS, take_pairs


def shown(candidate: list[float], reference: list[float], limit: float = 1.05) -> tuple[Shown, int]:
    ours: Iterator[float] = iter(candidate)
    theirs: Iterator[float] = iter(reference)
    found = take_pairs(lambda: {"cold start": next(ours)}, lambda: {"cold start": next(theirs)}, limit)
    return found.shown("cold start"), len(found.candidate["cold start"])


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ([1.0, 1.01, 1.02, 1.0, 1.03], Shown.BELOW),
        ([1.2, 1.3, 1.15, 1.2, 1.4], Shown.ABOVE),
        ([0.5, 0.6, 0.5, 0.7, 0.5], Shown.BELOW),
        ([1.2, 1.3, 1.15, 1.2, 1.05], Shown.OPEN),
    ],
)
def test_all_of_one_side_lie_beyond_all_of_the_other(candidate: list[float], expected: Shown) -> None:
    assert shown(candidate, [1.0, 1.01, 1.0, 1.02, 1.01]) == (expected, PAIRS)


def test_what_can_not_be_told_any_more_ends_early() -> None:
    assert shown([1.0, 1.2], [1.0, 1.0]) == (Shown.OPEN, 2)


def test_one_quantity_that_is_open_does_not_end_another() -> None:
    starts = iter([1.0, 2.0, 1.0, 2.0, 1.0])
    found = take_pairs(
        lambda: {"cold start": next(starts), "peak memory": 100.0},
        lambda: {"cold start": 1.0, "peak memory": 100.0},
        1.05,
    )
    assert found.shown("cold start") is Shown.OPEN
    assert found.shown("peak memory") is Shown.BELOW
