"""The values of marks' arguments: each function parses one kind, or refuses a value with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from numbers import Real
from typing import Any

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.units import parse_percentage

Parser = Callable[[Any], Any]

_POINTS = re.compile(r"(\d+(?:\.\d+)?|\.\d+) *points?")
_NUMBER_AND_UNIT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%|x|times|db)?\s*", re.IGNORECASE)


def _number(value: Any, *, example: str, unit: str = "") -> float:
    """Return a finite number. A text is refused with the number that it means, where that is clear.

    ``unit`` is one that a number of this kind has in people's mouths, such as "%". The argument itself has none.
    """
    if isinstance(value, str):
        meant = _number_meant(value, unit)
        what_would_do = f"{meant} without quotes" if meant else f"a number, {example}"
        raise UsageError(f"{shown(value)} is a text; write {what_would_do}")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{shown(value)} is not a number; write {example}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"{shown(value)} is not a finite number; write {example}")
    return number


def _number_meant(text: str, unit: str) -> str:
    """Return the number in a text, as Python writes it; ``""`` if it has none, or one with a unit of another kind."""
    found = _NUMBER_AND_UNIT.fullmatch(text)
    given = (found[2] or "").lower() if found else ""
    if found is None or given not in ("", *unit.split()):
        return ""
    return f"{float(found[1]) / 100:g}" if given == "%" else found[1]


def tolerance(value: Any) -> float:
    """Return a tolerance, a number that is not negative.

    Raises:
        UsageError: the value is not one.
    """
    return _not_negative(value, example="1e-3", unit="%")


def _not_negative(value: Any, *, example: str, unit: str = "") -> float:
    if (number := _number(value, example=example, unit=unit)) < 0:
        raise UsageError(f"{value!r} is negative; write {example}")
    return number


def decibels(value: Any) -> float:
    """Return a number of dB.

    Raises:
        UsageError: the value is not one.
    """
    return _number(value, example="30", unit="db")


def score(value: Any) -> float:
    """Return a mean score, in the units of the scores.

    Raises:
        UsageError: the value is not one.
    """
    return _number(value, example="0.9", unit="%")


def cosine(value: Any) -> float:
    """Return a cosine similarity in [0, 1].

    Raises:
        UsageError: the value is not one.
    """
    number = _number(value, example="0.999", unit="%")
    if not 0 <= number <= 1:
        raise UsageError(f"{value!r} is outside [0, 1]; write 0.999")
    return number


def share(value: Any) -> float:
    """Return a number in [0, 1].

    Raises:
        UsageError: the value is not one.
    """
    number = _number(value, example="0.98", unit="%")
    if not 0 <= number <= 1:
        meant = f"{number / 100:g} for {number:g} %" if 2 <= number <= 100 else "0.98 for 98 %"
        raise UsageError(f"{value!r} is outside [0, 1]; write {meant}")
    return number


def speedup(value: Any) -> float:
    """Return a speed-up: how many times as fast.

    Raises:
        UsageError: the value is not one.
    """
    example = "1.3 for 1.3 times as fast"
    if (number := _number(value, example=example, unit="x times")) <= 0:
        raise UsageError(f"{value!r} is not a speed-up; write {example}")
    return number


def drop(value: Any) -> float:
    """Return a fraction: from one, from a percentage, or from points, the units of scores that are no fractions.

    Raises:
        UsageError: the value is none of them, or a bare 1, which could mean one point of 100 or all of a right/wrong
        score.
    """
    example = '"1%" or "1 point"'
    if isinstance(value, str):
        points = _POINTS.fullmatch(value.strip())
        return float(points[1]) if points else _fraction(value, example)
    if (number := _not_negative(value, example=example)) >= 1:
        points_text = f"{number:g} point{'s' * (number != 1)}"
        raise UsageError(
            f'{value!r} would be {100 * number:g} % of right/wrong scores; write "{number:g}%", or "{points_text}" '
            "where scores are no fractions"
        )
    return number


def _fraction(text: str, example: str) -> float:
    """Return a percentage as a fraction; a bare number is refused with the ways to write it."""
    bare = _number_meant(text, "")
    if not bare:
        try:
            return parse_percentage(text)
        except UsageError:
            raise UsageError(f"{shown(text)} is not a percentage; write {example}") from None
    if float(bare) < 0:
        raise UsageError(f"{text!r} is negative; write {example}")
    if float(bare) < 1:
        raise UsageError(f'{text!r} has no unit; write "{100 * float(bare):g}%", or {bare} without quotes')
    raise UsageError(f'{text!r} has no unit; write "{float(bare):g}%"')


def items(value: Any) -> str:
    """Return the items that a claim is about.

    Raises:
        UsageError: the value is not one.
    """
    if value != "these":
        raise UsageError(f'{shown(value)} are no items that a claim can be of; write of="these", or leave it out')
    return str(value)


def slowdown(value: Any) -> float:
    """Return a fraction: that of a percentage, or a number below 1.

    Raises:
        UsageError: the value is not one.
    """
    if isinstance(value, str):
        return _fraction(value, '"5%"')
    if (number := _not_negative(value, example='"5%"')) >= 1:
        raise UsageError(f'{value!r} would be {100 * number:g} %; write "{number:g}%" or "{100 * number:g}%"')
    return number


def backend_name(value: Any) -> str:
    """Return the name of a backend.

    Raises:
        UsageError: the value is not one.
    """
    if not isinstance(value, str):
        raise UsageError(f'{shown(value)} is not the name of a backend; write vs="eager"')
    return value


def input_name(value: Any) -> str:
    """Return the name of an input.

    Raises:
        UsageError: the value is not one.
    """
    if not isinstance(value, str):
        raise UsageError(
            f'{shown(value)} is not the name of an input; write mask="attention_mask", or mask="" to compare padding'
        )
    return value


def claimed(value: Any) -> bool:
    """Return True, the only value of a claim that has no number.

    Raises:
        UsageError: the value is not True.
    """
    if value is not True:
        meant = "write True, or leave it out" if value is False else "write True"
        raise UsageError(f"{shown(value)} claims nothing; {meant}")
    return True


def whole_number(value: Any) -> int:
    """Return a whole number that is not negative.

    Raises:
        UsageError: the value is not one.
    """
    number = _not_negative(value, example="0")
    if number != int(number):
        raise UsageError(f"{value!r} is not a whole number; write 0")
    return int(number)


def kernel_names(value: Any) -> tuple[str, ...]:
    """Return names or globs of kernels: from one text, or several.

    Raises:
        UsageError: the value holds something else, or nothing.
    """
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise UsageError(f'{shown(value)} is not the name of a kernel; write "MatMul" or ["MatMul", "*conv*"]')
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f'{shown(name)} is not the name of a kernel; write "MatMul", a glob, or "MatMul:int8"')
    if not names:
        raise UsageError(f'{shown(value)} names no kernel; write "MatMul", or leave it out')
    return tuple(names) if isinstance(names, (list, tuple)) else tuple(sorted(names))
