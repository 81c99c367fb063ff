"""Patterns of names: the one that fits most closely holds, whatever the order."""

from __future__ import annotations

import itertools

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.pattern import closest


@pytest.mark.parametrize(
    ("name", "closer_ones_last"),
    [
        ("ort-int8", ["*", "ort*", "*int8", "ort-int*", "ort-int8"]),
        ("ort-int8", ["*-*", "?*-*8", "ort-[ij]*"]),
        ("ort-o1", ["*", "ort-o?"]),
        ("ort-o1", ["ort*", "ort-o[12]"]),
        ("[x", ["*", "[x"]),
    ],
)
def test_the_closest_pattern_holds_in_any_order(name: str, closer_ones_last: list[str]) -> None:
    for order in itertools.permutations(closer_ones_last):
        for taken in range(1, len(order) + 1):
            given = {pattern: pattern for pattern in order[:taken]}
            assert closest(name, given) == max(given, key=closer_ones_last.index)


def test_what_no_pattern_fits_has_no_value() -> None:
    assert closest("eager", {"ort*": 1, "*8": 2, "Eager": 3}) is None
    assert closest("eager", {}) is None


@pytest.mark.parametrize(
    "patterns", [("ort*", "*nt8"), ("*", "?*"), ("ort-?nt8", "ort-i?t8"), ("[o]rt-int8", "?rt-int8")]
)
def test_patterns_that_fit_equally_closely_and_differ_are_refused(patterns: tuple[str, str]) -> None:
    for first, second in itertools.permutations(patterns):
        with pytest.raises(UsageError) as refused:
            closest("ort-int8", {first: 1, second: 2})
        assert str(refused.value) == (
            f"{first!r} and {second!r} fit 'ort-int8' equally closely and differ; give 'ort-int8' a value of its own"
        )
        assert closest("ort-int8", {first: 1, second: 1}) == 1
        assert closest("ort-int8", {first: 1, second: 2, "ort-int8": 3}) == 3
