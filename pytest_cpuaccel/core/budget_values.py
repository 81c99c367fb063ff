"""The values of marks' arguments: each function parses one kind, or refuses a value with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.units import parse_percentage

Parser = Callable[[Any], Any]

_POINTS = re.compile(r"(\d+(?:\.\d+)?|\.\d+) *points?")


def number(value: Any) -> float:
    """Return a finite number.

    Raises:
        UsageError: the value is not one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"{value!r} is not a finite number")
    return float(value)


def not_negative(value: Any) -> float:
    """Return a number that is not negative.

    Raises:
        UsageError: the value is not one.
    """
    if number(value) < 0:
        raise UsageError(f"{value!r} is negative")
    return float(value)


def share(value: Any) -> float:
    """Return a number in [0, 1].

    Raises:
        UsageError: the value is not one.
    """
    if not 0 <= number(value) <= 1:
        raise UsageError(f"{value!r} is outside [0, 1]")
    return float(value)


def speedup(value: Any) -> float:
    """Return a speed-up: how many times as fast.

    Raises:
        UsageError: the value is not one.
    """
    if number(value) <= 0:
        raise UsageError(f"{value!r} is not a speed-up; write 1.3 for 1.3 times as fast")
    return float(value)


def _excess(value: Any) -> float:
    return parse_percentage(value) if isinstance(value, str) else not_negative(value)


def drop(value: Any) -> float:
    """Return a fraction: from one, from a percentage, or from points, the units of scores that are no fractions.

    Raises:
        UsageError: the value is none of them, or a bare 1, which could mean one point of 100 or all of a right/wrong
        score.
    """
    if isinstance(value, str) and (points := _POINTS.fullmatch(value.strip())):
        return float(points[1])
    if not isinstance(value, str) and not_negative(value) >= 1:
        points_text = f"{value:g} point{'s' * (value != 1)}"
        raise UsageError(
            f'{value!r} would be {100 * value:g} % of right/wrong scores; write "{value:g}%", or "{points_text}" where '
            "scores are no fractions"
        )
    return _excess(value)


def items(value: Any) -> str:
    """Return the items that a claim is about.

    Raises:
        UsageError: the value is not one.
    """
    if value != "these":
        raise UsageError(f'{value!r} are no items that a claim can be of; write of="these", or leave it out')
    return str(value)


def slowdown(value: Any) -> float:
    """Return a fraction: that of a percentage, or a number below 1.

    Raises:
        UsageError: the value is not one.
    """
    if not isinstance(value, str) and not_negative(value) >= 1:
        raise UsageError(f'{value!r} would be {100 * value:g} %; write "{value:g}%" or "{100 * value:g}%"')
    return _excess(value)


def backend_name(value: Any) -> str:
    """Return the name of a backend.

    Raises:
        UsageError: the value is not one.
    """
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is not the name of a backend")
    return value


def input_name(value: Any) -> str:
    """Return the name of an input.

    Raises:
        UsageError: the value is not one.
    """
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is not the name of an input")
    return value
