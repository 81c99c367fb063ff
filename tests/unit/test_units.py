"""Quantities with units."""

from __future__ import annotations

import re

import pytest

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.units import (
    format_duration,
    format_elapsed,
    format_rate,
    parse_bytes,
    parse_duration_ns,
    parse_percentage,
    parse_rate,
)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("30 ms", 30_000_000),
        ("30ms", 30_000_000),
        (" 1.5 s ", 1_500_000_000),
        ("20 us", 20_000),
        ("20 µs", 20_000),
        ("7 NS", 7),
    ],
)
def test_durations_become_nanoseconds(text: str, ns: int) -> None:
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("30", "'30' has no unit; write \"30 ms\" (units: ns, us, ms, s)"),
        ("30 h", "'30 h' has unit 'h'; write \"30 ms\" (units: ns, us, ms, s)"),
        ("fast", "'fast' is not a quantity; write \"30 ms\""),
        ("-3 ms", "'-3 ms' is not a quantity; write \"30 ms\""),
        ("0 ms", "'0 ms' is zero; write \"30 ms\""),
        (30, '30 is not a text with a unit; write "30 ms"'),
        (None, 'None is not a text with a unit; write "30 ms"'),
    ],
)
def test_what_is_no_duration_says_what_would_be(given: object, words: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(words)}$"):
        parse_duration_ns(given)


def test_percentages_become_fractions_and_may_be_zero() -> None:
    assert parse_percentage("5%") == 0.05
    assert parse_percentage("0 %") == 0
    assert parse_percentage("150%") == 1.5
    with pytest.raises(UsageError, match="'5' has no unit"):
        parse_percentage("5")


def test_sizes_become_bytes() -> None:
    assert parse_bytes("10 GB") == 10**10
    assert parse_bytes("1 gib") == 2**30


@pytest.mark.parametrize(
    ("ns", "text"), [(21_400_000, "21.4 ms"), (1_234, "1.23 us"), (999, "999 ns"), (2.5e9, "2.50 s"), (123e6, "123 ms")]
)
def test_durations_are_written_with_three_digits(ns: float, text: str) -> None:
    assert format_duration(ns) == text


def test_throughputs_become_items_per_second_and_back() -> None:
    assert parse_rate("40 items/s") == 40
    assert parse_rate("0.5items/s") == 0.5
    assert format_rate(39.97) == "40.0 items/s"


@pytest.mark.parametrize("given", ["40", "40 items", "40 items/min", "40/s"])
def test_a_throughput_without_its_unit_says_what_would_do(given: str) -> None:
    with pytest.raises(UsageError, match=r'write "40 items/s" \(units: items/s\)$'):
        parse_rate(given)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (30.4, "30 s"), (60, "1 min"), (370.2, "6 min 10 s"), (3600, "1 h"), (3665, "1 h 1 min 5 s")],
)
def test_elapsed_time_is_in_whole_seconds(seconds: float, text: str) -> None:
    assert format_elapsed(seconds) == text
