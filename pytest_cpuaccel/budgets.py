"""The budgets that the marks on a test become for one backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_cpuaccel.core.budget import AccuracyBudget, LatencyBudget, ParityBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.core.units import parse_duration_ns, parse_percentage

if TYPE_CHECKING:
    import pytest

Parser = Callable[[Any], Any]
T = TypeVar("T")


def parity_budget(item: pytest.Item, backend: str) -> ParityBudget | None:
    """Return what ``parity`` allows under a backend; None without the mark.

    Raises:
        UsageError: an argument or value that has no meaning, with the test's name.
    """
    values = _values(item, "parity", backend, {**_TOLERANCES, "outputs": _outputs, "mask": _text})
    if values is None:
        return None
    outputs, only = values.pop("outputs", ({}, ()))
    mask = values.pop("mask", None)
    return ParityBudget(Tolerance(**values), outputs, only, mask)


def latency_budget(item: pytest.Item, backend: str) -> LatencyBudget | None:
    """Return what ``latency_budget`` allows under a backend; None without the mark.

    Raises:
        UsageError: an argument or value that has no meaning, or no budget at all.
    """
    values = _values(item, "latency_budget", backend, _LATENCY)
    if values is None:
        return None
    if not set(values) - {"vs"}:
        raise UsageError(f'{item.nodeid}: @latency_budget allows nothing yet; write p50="30 ms" or speedup=1.2')
    if "speedup" in values and "max_slowdown" in values:
        raise UsageError(f"{item.nodeid}: @latency_budget has speedup= and max_slowdown=; both set the same ratio")
    return LatencyBudget(**values)


def accuracy_budget(item: pytest.Item, backend: str) -> AccuracyBudget | None:
    """Return what ``accuracy_budget`` allows under a backend; None without the mark.

    Raises:
        UsageError: an argument or value that has no meaning, or no budget at all.
    """
    values = _values(item, "accuracy_budget", backend, {"max_drop": _excess, "min_score": _number})
    if values is None:
        return None
    if not values:
        raise UsageError(f'{item.nodeid}: @accuracy_budget allows nothing yet; write max_drop="1%" or min_score=0.9')
    return AccuracyBudget(**values)


def _values(item: pytest.Item, name: str, backend: str, parsers: Mapping[str, Parser]) -> dict[str, Any] | None:
    """Parsed arguments of a mark; those set to None, or not set for this backend, are left out."""
    mark = item.get_closest_marker(name)
    if mark is None:
        return None
    if mark.args:
        raise UsageError(f"{item.nodeid}: @{name}({mark.args[0]!r}): name the argument: {', '.join(parsers)}")
    refuse_unknown(mark.kwargs, parsers, f"{item.nodeid}: @{name}")
    values = {}
    for key, given in mark.kwargs.items():
        value = given if key == "outputs" else _for_backend(given, backend)
        if value is not None:
            values[_RENAMED.get(key, key)] = _parsed(parsers[key], value, f"{item.nodeid}: @{name}({key}=)")
    return values


def _for_backend(value: Any, backend: str) -> Any:
    """The value itself, or the one that a ``{"ort*": ..., "*": ...}`` dict has for this backend."""
    if not isinstance(value, Mapping):
        return value
    if backend in value:
        return value[backend]
    return next((given for pattern, given in value.items() if fnmatchcase(backend, pattern)), None)


def _parsed(parser: Callable[[Any], T], value: Any, where: str) -> T:
    try:
        return parser(value)
    except UsageError as mistake:
        raise UsageError(f"{where}: {mistake}") from None


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse an argument that a mark does not take.

    Raises:
        UsageError: names the first one.
    """
    for key in given:
        if key not in known:
            raise UsageError(f"{where} takes no {key!r}; {suggestion(key, known)}")


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


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is not the name of an input")
    return value


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
    "speedup": _speedup,
    "max_slowdown": _excess,
    "vs": _text,
}
_RENAMED = {"p50": "p50_ns", "p90": "p90_ns", "p99": "p99_ns"}


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
