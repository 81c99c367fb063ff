"""Quantities with units: texts of users ("30 ms", "5%", "10 GB", "40 items/s") from and to numbers."""

from __future__ import annotations

import re

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown

NS_PER_UNIT = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
BYTES_PER_UNIT = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_QUANTITY = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-zA-Zµ%/]*)\s*")


def parse_duration_ns(text: object, example: str = "30 ms") -> int:
    """Nanoseconds in a text such as ``"30 ms"``; units are ns, us, ms and s.

    Raises:
        UsageError: the text has no unit, another unit, or is not positive.
    """
    return round(_parse(text, NS_PER_UNIT, example=example))


def parse_bytes(text: object, example: str = "10 GB") -> int:
    """Bytes in a text such as ``"10 GB"`` (powers of ten) or ``"10 GiB"`` (powers of two).

    Raises:
        UsageError: the text has no unit, another unit, or is not positive.
    """
    return round(_parse(text, BYTES_PER_UNIT, example=example))


def parse_percentage(text: object) -> float:
    """A text such as ``"5%"`` as a fraction of one, 0.05; zero is allowed, and more than 100 % too.

    Raises:
        UsageError: the text is no percentage.
    """
    return _parse(text, {"%": 1}, example="5%", allow_zero=True) / 100


def parse_rate(text: object) -> float:
    """Items per second in a text such as ``"40 items/s"``.

    Raises:
        UsageError: the text has no unit, another unit, or is not positive.
    """
    return _parse(text, {"items/s": 1}, example="40 items/s")


def format_duration(ns: float) -> str:
    """``21_400_000`` as ``"21.4 ms"``: three significant digits in the largest unit that fits."""
    for unit in ("s", "ms", "us"):
        if abs(ns) >= NS_PER_UNIT[unit]:
            return f"{_three_digits(ns / NS_PER_UNIT[unit])} {unit}"
    return f"{ns:.0f} ns"


def format_elapsed(seconds: float) -> str:
    """``370.2`` as ``"6 min 10 s"``: whole seconds, and minutes and hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{hours} h" * bool(hours),
        f"{minutes} min" * bool(minutes),
        f"{rest} s" * bool(rest or not round(seconds)),
    ]
    return " ".join(filter(None, parts))


def format_rate(items_per_s: float) -> str:
    """``39.97`` as ``"40.0 items/s"``: three significant digits."""
    return f"{_three_digits(items_per_s)} items/s"


def format_bytes(count: float) -> str:
    """``440_000_000`` as ``"440 MB"``: three significant digits, powers of ten."""
    for unit in ("GB", "MB", "KB"):
        if abs(count) >= BYTES_PER_UNIT[unit]:
            return f"{_three_digits(count / BYTES_PER_UNIT[unit])} {unit}"
    return f"{count:.0f} B"


def _three_digits(number: float) -> str:
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def _parse(text: object, units: dict[str, int], *, example: str, allow_zero: bool = False) -> float:
    if not isinstance(text, str):
        raise UsageError(f'{shown(text)} is not a text with a unit; write "{example}"')
    match = _QUANTITY.fullmatch(text.replace("µs", "us"))
    if match is None:
        raise UsageError(f'{shown(text)} is not a quantity; write "{example}"')
    unit = {known.lower(): known for known in units}.get(match["unit"].lower())
    if unit is None:
        given = f"has unit {match['unit']!r}" if match["unit"] else "has no unit"
        raise UsageError(f'{text!r} {given}; write "{example}" (units: {", ".join(units)})')
    number = float(match["number"]) * units[unit]
    if number == 0 and not allow_zero:
        raise UsageError(f'{text!r} is zero; write "{example}"')
    return number
