"""The budgets that the marks on a test become for one backend."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

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
    """Return what ``latency_budget`` allows under a backend; None without the mark, or where it says nothing of it.

    Raises:
        UsageError: an argument or value that has no meaning, budgets that contradict each other, or none at all.
    """
    values = _allowed(item, "latency_budget", backend, _LATENCY, 'p50="30 ms" or speedup=1.2')
    if values is None:
        return None
    if "speedup" in values and "max_slowdown" in values:
        raise UsageError(
            f"{item.nodeid}: @latency_budget has speedup= and max_slowdown=; both set the same ratio; keep one"
        )
    _check_order(values, f"{item.nodeid}: @latency_budget")
    of_calls = {name: value for name, value in values.items() if name not in _STARTUP}
    return LatencyBudget(**of_calls) if set(of_calls) - {"vs"} else None


def startup_budget(item: pytest.Item, backend: str) -> StartupBudget | None:
    """Return what ``latency_budget`` allows a fresh process under a backend; None where it says nothing of that.

    Raises:
        UsageError: an argument or value that has no meaning.
    """
    values = _values(item, "latency_budget", backend, _LATENCY) or {}
    of_start = {name: value for name, value in values.items() if name in _STARTUP}
    return StartupBudget(**of_start) if of_start else None


def memory_budget(item: pytest.Item, backend: str) -> MemoryBudget | None:
    """Return what ``memory_budget`` allows under a backend; None without the mark, or where it says nothing of it.

    Raises:
        UsageError: an argument or value that has no meaning, or no budget at all.
    """
    parsers: dict[str, Parser] = {"peak": parse_bytes, "artifact": parse_bytes}
    values = _allowed(item, "memory_budget", backend, parsers, 'peak="800 MB" or artifact="100 MB"')
    return None if values is None else MemoryBudget(**values)


def accuracy_budget(item: pytest.Item, backend: str) -> AccuracyBudget | None:
    """Return what ``accuracy_budget`` allows under a backend; None without the mark, or where it says nothing of it.

    Raises:
        UsageError: an argument or value that has no meaning, or no budget at all.
    """
    parsers: dict[str, Parser] = {"max_drop": _excess, "min_score": _number}
    values = _allowed(item, "accuracy_budget", backend, parsers, 'max_drop="1%" or min_score=0.9')
    return None if values is None else AccuracyBudget(**values)


def _allowed(
    item: pytest.Item, name: str, backend: str, parsers: Mapping[str, Parser], example: str
) -> dict[str, Any] | None:
    """The values of a mark that must allow something; None where it does for other backends alone."""
    values = _values(item, name, backend, parsers)
    if values is None or set(values) - {"vs"}:
        return values
    mark = _only_mark(item, name)
    if mark and any(isinstance(given, Mapping) and given for given in mark.kwargs.values()):
        return None
    raise UsageError(f"{item.nodeid}: @{name} allows nothing yet; write {example}")


def _values(item: pytest.Item, name: str, backend: str, parsers: Mapping[str, Parser]) -> dict[str, Any] | None:
    """Parsed arguments of a mark; those set to None, or not set for this backend, are left out."""
    mark = _only_mark(item, name)
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


def _only_mark(item: pytest.Item, name: str) -> pytest.Mark | None:
    """The closest mark, as everywhere in pytest. Of two on one test, class or module pytest would drop one unsaid."""
    found = list(item.iter_markers_with_node(name))
    if len(found) > 1 and found[0][0] is found[1][0]:
        raise UsageError(f"{item.nodeid}: two @{name} in one place, of which only one would count; write them as one")
    return found[0][1] if found else None


def _check_order(values: Mapping[str, Any], where: str) -> None:
    for names in _ASCENDING:
        given = [(name, values[_RENAMED[name]]) for name in names if _RENAMED[name] in values]
        for (lower, least), (upper, most) in itertools.pairwise(given):
            if least > most:
                raise UsageError(
                    f"{where}: {lower}= allows {format_duration(least)} and {upper}= only {format_duration(most)}; "
                    f"{lower} is never above {upper}"
                )


def check_backends(item: pytest.Item, name: str, known: Iterable[str]) -> None:
    """Check that every name and glob in a mark's dicts by backend is one of a known backend.

    Raises:
        UsageError: one isn't; what it stands for would hold nothing to anything.
    """
    mark, names = _only_mark(item, name), tuple(known)
    for key, given in mark.kwargs.items() if mark else ():
        if key == "outputs" or not isinstance(given, Mapping):
            continue
        for pattern in given:
            if not any(fnmatchcase(known_name, str(pattern)) for known_name in names):
                raise UsageError(
                    f"{item.nodeid}: @{name}({key}=): no backend named {pattern!r}; {suggestion(pattern, names)}"
                )


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
_STARTUP = ("cold_start_ns", "build_ns")
_RENAMED = {
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
