"""The budgets of a test under a backend: parsed from its marks once, and kept in its stash."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.core.budget import (
    AccuracyBudget,
    Budgets,
    LatencyBudget,
    MemoryBudget,
    ParityBudget,
    StartupBudget,
    Tolerance,
)
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.units import format_duration, parse_bytes, parse_duration_ns, parse_rate
from pytest_cpuaccel.plugin.marks import values
from pytest_cpuaccel.plugin.marks.arguments import Parser, arguments, check_backends, compulsory_arguments
from pytest_cpuaccel.plugin.marks.names import JUDGED, judged
from pytest_cpuaccel.plugin.marks.tolerances import TOLERANCES, outputs

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend

_PARITY: dict[str, Parser] = {**TOLERANCES, "outputs": outputs, "mask": values.input_name}
_LATENCY: dict[str, Parser] = {
    "p50": parse_duration_ns,
    "p90": parse_duration_ns,
    "p99": parse_duration_ns,
    "min_throughput": parse_rate,
    "ttft": parse_duration_ns,
    "tpot": parse_duration_ns,
    "speedup": values.speedup,
    "max_slowdown": values.slowdown,
    "vs": values.backend_name,
    "cold_start": parse_duration_ns,
    "build": parse_duration_ns,
}
_MEMORY: dict[str, Parser] = {"peak": parse_bytes, "artifact": parse_bytes}
_ACCURACY: dict[str, Parser] = {"max_drop": values.drop, "min_score": values.score, "of": values.items}
_ASCENDING = (("ttft", "p50", "p90", "p99"), ("tpot", "p50", "p90", "p99"))
"""Budgets in ascending order: the first token is part of the call, and p50 lies below p90."""
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


@dataclass(frozen=True)
class _Parsed:
    """The ``budgets`` that ``marks`` set for ``backend``."""

    backend: str
    marks: tuple[pytest.Mark, ...]
    budgets: Budgets

    def holds(self, backend: str, marks: tuple[pytest.Mark, ...]) -> bool:
        """Tell whether these are the same mark objects; their arguments may not be comparable."""
        return self.backend == backend and [*map(id, self.marks)] == [*map(id, marks)]


_PARSED = pytest.StashKey[_Parsed]()


def budgets_of(item: pytest.Item, backend: str, known: Mapping[str, Backend]) -> Budgets:
    """Return the budgets of a test under a backend; ``known`` are all backends by name.

    Marks are parsed again only if a fixture, or the test itself, has added one since.

    Raises:
        UsageError: an argument or value that has no meaning, budgets that contradict each other, or none at all.
    """
    marks = tuple(mark for name in JUDGED for mark in item.iter_markers(name))
    parsed = item.stash.get(_PARSED, None)
    if parsed is None or not parsed.holds(backend, marks):
        for name in judged(item):
            check_backends(item, name, known)
        parsed = item.stash[_PARSED] = _Parsed(backend, marks, _parse(item, backend))
    return parsed.budgets


def _parse(item: pytest.Item, backend: str) -> Budgets:
    parity, accuracy = _parity(item, backend), _accuracy(item, backend)
    latency, startup = _latency_and_startup(item, backend)
    return Budgets(parity, accuracy, latency, startup, _memory(item, backend))


def _parity(item: pytest.Item, backend: str) -> ParityBudget | None:
    given = arguments(item, "parity", backend, _PARITY)
    if given is None:
        return None
    tolerances, only = given.pop("outputs", ({}, ()))
    mask = given.pop("mask", None)
    return ParityBudget(Tolerance(**given), tolerances, only, mask)


def _accuracy(item: pytest.Item, backend: str) -> AccuracyBudget | None:
    given = compulsory_arguments(item, "accuracy_budget", backend, _ACCURACY, 'max_drop="1%" or min_score=0.9')
    return None if given is None else AccuracyBudget(**given)


def _latency_and_startup(item: pytest.Item, backend: str) -> tuple[LatencyBudget | None, StartupBudget | None]:
    """Return the budgets of ``latency_budget`` for calls and for fresh processes."""
    given = compulsory_arguments(item, "latency_budget", backend, _LATENCY, 'p50="30 ms" or speedup=1.2') or {}
    if "speedup" in given and "max_slowdown" in given:
        raise UsageError(
            f"{item.nodeid}: @latency_budget has speedup= and max_slowdown=; both set the same ratio; keep one"
        )
    _check_order(given, f"{item.nodeid}: @latency_budget")
    of_start = {name: value for name, value in given.items() if name in _STARTUP}
    of_calls = {name: value for name, value in given.items() if name not in _STARTUP}
    return (
        LatencyBudget(**_fields(of_calls)) if set(of_calls) - {"vs"} else None,
        StartupBudget(**_fields(of_start)) if of_start else None,
    )


def _memory(item: pytest.Item, backend: str) -> MemoryBudget | None:
    given = compulsory_arguments(item, "memory_budget", backend, _MEMORY, 'peak="800 MB" or artifact="100 MB"')
    return None if given is None else MemoryBudget(**_fields(given))


def _check_order(given: Mapping[str, Any], where: str) -> None:
    for names in _ASCENDING:
        limits = [(name, given[name]) for name in names if name in given]
        for (lower, least), (upper, most) in itertools.pairwise(limits):
            if least > most:
                raise UsageError(
                    f"{where}: {lower}= allows {format_duration(least)} and {upper}= only {format_duration(most)}; "
                    f"{lower} is never above {upper}"
                )


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_FIELDS.get(name, name): value for name, value in given.items()}
