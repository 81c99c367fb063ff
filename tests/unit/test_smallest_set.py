"""The smallest set of changes is found, with few questions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest

from pytest_cpuaccel.core.smallest_set import smallest_set


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("culprits", [1, 2])
def test_every_set_of_culprits_is_found(size: int, culprits: int) -> None:
    for wanted in combinations(range(size), min(culprits, size)):
        assert smallest_set(range(size), lambda some, wanted=wanted: set(wanted) <= set(some)) == wanted


def test_one_of_many_takes_few_questions() -> None:
    asked: list[Sequence[int]] = []

    def does_it(some: Sequence[int]) -> bool:
        asked.append(some)
        return 11 in some

    assert smallest_set(range(16), does_it) == (11,)
    assert len(asked) <= 8


def test_sets_that_cannot_be_tried_are_passed_over() -> None:
    """Packages 0 and 1 need each other."""

    def does_it(some: Sequence[int]) -> bool | None:
        if (0 in some) != (1 in some):
            return None
        return 1 in some

    assert smallest_set(range(6), does_it) == (0, 1)
