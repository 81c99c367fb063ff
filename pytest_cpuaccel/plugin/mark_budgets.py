"""The budgets that the marks on a test become for one backend."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.core.budget import (
    AccuracyBudget,
    LatencyBudget,
    MemoryBudget,
    ParityBudget,
    StartupBudget,
    Tolerance,
)
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.core.units import format_duration, parse_bytes, parse_duration_ns, parse_percentage, parse_rate
from pytest_cpuaccel.plugin.mark_arguments import Parser, arguments, compulsory_arguments

if TYPE_CHECKING:
    import pytest


def parity_budget(item: pytest.Item, backend: str) -> ParityBudget | None:
    """Return what ``parity`` allows under a backend; None without the mark.

    Raises:
        UsageError: an argument or value that has no meaning, with the test's name.
    """
    values = arguments(item, "parity", backend, {**_TOLERANCES, "outputs": _outputs, "mask": _text})
    if values is None:
        return None
    outputs, only = values.pop("outputs", ({}, ()))
    mask = values.pop("mask", None)
    return ParityBudget(Tolerance(**values), outputs, only, mask)


def latency_budget(item: pytest.Item, backend: str) -> LatencyBudget | None:
    """Return what ``latency_budget`` allows under a backend; None without the mark, or where it says nothing of it.

    Raises:
        UsageError: an argument or value that has no meaning, budgets that contradict each other, or none at all.
    """
    values = compulsory_arguments(item, "latency_budget", backend, _LATENCY, 'p50="30 ms" or speedup=1.2')
    if values is None:
        return None
    if "speedup" in values and "max_slowdown" in values:
        raise UsageError(
            f"{item.nodeid}: @latency_budget has speedup= and max_slowdown=; both set the same ratio; keep one"
        )
    _check_order(values, f"{item.nodeid}: @latency_budget")
    of_calls = {name: value for name, value in values.items() if name not in _STARTUP}
    return LatencyBudget(**_fields(of_calls)) if set(of_calls) - {"vs"} else None


def startup_budget(item: pytest.Item, backend: str) -> StartupBudget | None:
    """Return what ``latency_budget`` allows a fresh process under a backend; None where it says nothing of that.

    Raises:
        UsageError: an argument or value that has no meaning.
    """
    values = arguments(item, "latency_budget", backend, _LATENCY) or {}
    of_start = {name: value for name, value in values.items() if name in _STARTUP}
    return StartupBudget(**_fields(of_start)) if of_start else None


def memory_budget(item: pytest.Item, backend: str) -> MemoryBudget | None:
    """Return what ``memory_budget`` allows under a backend; None without the mark, or where it says nothing of it.

    Raises:
        UsageError: an argument or value that has no meaning, or no budget at all.
    """
    parsers: dict[str, Parser] = {"peak": parse_bytes, "artifact": parse_bytes}
    values = compulsory_arguments(item, "memory_budget", backend, parsers, 'peak="800 MB" or artifact="100 MB"')
    return None if values is None else MemoryBudget(**_fields(values))


def accuracy_budget(item: pytest.Item, backend: str) -> AccuracyBudget | None:
    """Return what ``accuracy_budget`` allows under a backend; None without the mark, or where it says nothing of it.

    Raises:
        UsageError: an argument or value that has no meaning, or no budget at all.
    """
    parsers: dict[str, Parser] = {"max_drop": _drop, "min_score": _number, "of": _items}
    values = compulsory_arguments(item, "accuracy_budget", backend, parsers, 'max_drop="1%" or min_score=0.9')
    return None if values is None else AccuracyBudget(**values)


def _check_order(values: Mapping[str, Any], where: str) -> None:
    for names in _ASCENDING:
        given = [(name, values[name]) for name in names if name in values]
        for (lower, least), (upper, most) in itertools.pairwise(given):
            if least > most:
                raise UsageError(
                    f"{where}: {lower}= allows {format_duration(least)} and {upper}= only {format_duration(most)}; "
                    f"{lower} is never above {upper}"
                )


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_FIELDS.get(name, name): value for name, value in values.items()}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"{value!r} is not a finite number")
    return float(value)


def _not_negative(value: Any) -> float:
    if _number(value) < 0:
        raise UsageError(f"{value!r} is negative")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise UsageError(f"{value!r} is outside [0, 1]")
    return float(value)


def _speedup(value: Any) -> float:
    if _number(value) <= 0:
        raise UsageError(f"{value!r} is not a speed-up; write 1.3 for 1.3 times as fast")
    return float(value)


def _excess(value: Any) -> float:
    return parse_percentage(value) if isinstance(value, str) else _not_negative(value)


def _drop(value: Any) -> float:
    """A fraction, a percentage, or points: the units of scores that are no fractions.

    A bare 1 is refused: it is one point of 100 to some, and all of a right/wrong score.
    """
    if isinstance(value, str) and (points := _POINTS.fullmatch(value.strip())):
        return float(points[1])
    if not isinstance(value, str) and _not_negative(value) >= 1:
        points_text = f"{value:g} point{'s' * (value != 1)}"
        raise UsageError(
            f'{value!r} would be {100 * value:g} % of right/wrong scores; write "{value:g}%", or "{points_text}" where '
            "scores are no fractions"
        )
    return _excess(value)


def _items(value: Any) -> str:
    if value != "these":
        raise UsageError(f'{value!r} are no items that a claim can be of; write of="these", or leave it out')
    return str(value)


def _slowdown(value: Any) -> float:
    if not isinstance(value, str) and _not_negative(value) >= 1:
        raise UsageError(f'{value!r} would be {100 * value:g} %; write "{value:g}%" or "{100 * value:g}%"')
    return _excess(value)


def _backend(value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is not the name of a backend")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is not the name of an input")
    return value


_POINTS = re.compile(r"(\d+(?:\.\d+)?|\.\d+) *points?")
_TOLERANCES: dict[str, Parser] = {
    "rtol": _not_negative,
    "atol": _not_negative,
    "cosine": _share,
    "sqnr_db": _number,
    "top1": _share,
}
_LATENCY: dict[str, Parser] = {
    "p50": parse_duration_ns,
    "p90": parse_duration_ns,
    "p99": parse_duration_ns,
    "min_throughput": parse_rate,
    "ttft": parse_duration_ns,
    "tpot": parse_duration_ns,
    "speedup": _speedup,
    "max_slowdown": _slowdown,
    "vs": _backend,
    "cold_start": parse_duration_ns,
    "build": parse_duration_ns,
}
_ASCENDING = (("ttft", "p50", "p90", "p99"), ("tpot", "p50", "p90", "p99"))
"""Budgets of which each bounds those before it: the first token is part of the call, p50 lies below p90."""
_STARTUP = ("cold_start", "build")
_FIELDS = {
    "p50": "p50_ns",
    "p90": "p90_ns",
    "p99": "p99_ns",
    "ttft": "ttft_ns",
    "tpot": "tpot_ns",
    "cold_start": "cold_start_ns",
    "build": "build_ns",
    "peak": "peak_bytes",
    "artifact": "artifact_bytes",
}


def _outputs(value: Any) -> tuple[dict[str, Tolerance], tuple[str, ...]]:
    """Names to compare (a list), or tolerances by name (a dict); names are globs."""
    if isinstance(value, Mapping):
        return {str(name): _tolerance(given) for name, given in value.items()}, ()
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f'{value!r} names no output; write ["logits"] or {{"logits": {{"atol": 1e-3}}}}')
    return {}, names


def _tolerance(value: Any) -> Tolerance:
    if not isinstance(value, Mapping):
        raise UsageError(f'{value!r} is not a tolerance; write {{"rtol": 1e-3, "atol": 1e-5}}')
    for key in value:
        if key not in _TOLERANCES:
            raise UsageError(f"no tolerance named {key!r}; {suggestion(key, _TOLERANCES)}")
    return Tolerance(**{key: _TOLERANCES[key](given) for key, given in value.items()})
