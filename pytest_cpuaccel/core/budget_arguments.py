"""The arguments that say budgets, of marks and of the command line: their parsers, and the budgets that they make."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import Any

from pytest_cpuaccel.core import budget_values as values
from pytest_cpuaccel.core.budget import (
    KernelsBudget,
    LatencyBudget,
    MemoryBudget,
    ParityBudget,
    StartupBudget,
    Tolerance,
)
from pytest_cpuaccel.core.budget_values import Parser
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.tolerances import TOLERANCES, outputs
from pytest_cpuaccel.core.units import format_duration, parse_bytes, parse_duration_ns, parse_rate

PARITY: dict[str, Parser] = {**TOLERANCES, "outputs": outputs, "mask": values.input_name}
LATENCY: dict[str, Parser] = {
    "p50": parse_duration_ns,
    "p90": parse_duration_ns,
    "p99": parse_duration_ns,
    "min_throughput": parse_rate,
    "ttft": parse_duration_ns,
    "tpot": parse_duration_ns,
    "speedup": values.speedup,
    "max_slowdown": values.slowdown,
    "vs": values.backend_name,
    "cold_start": partial(parse_duration_ns, example="4 s"),
    "build": partial(parse_duration_ns, example="60 s"),
}
MEMORY: dict[str, Parser] = {
    "peak": partial(parse_bytes, example="800 MB"),
    "artifact": partial(parse_bytes, example="400 MB"),
}
ACCURACY: dict[str, Parser] = {"max_drop": values.drop, "min_score": values.score, "of": values.items}
KERNELS: dict[str, Parser] = {
    "int8_share": values.share,
    "bf16_share": values.share,
    "no_fallback": values.claimed,
    "max_graph_breaks": values.whole_number,
    "contains": values.kernel_names,
    "absent": values.kernel_names,
}
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


def parity_budget(given: Mapping[str, Any]) -> ParityBudget:
    """Return the budget of parsed arguments of ``parity``."""
    tolerances, only = given.get("outputs", ({}, ()))
    tolerance = Tolerance(**{name: value for name, value in given.items() if name in TOLERANCES})
    return ParityBudget(tolerance, tolerances, only, given.get("mask"))


def latency_and_startup(given: Mapping[str, Any], where: str) -> tuple[LatencyBudget | None, StartupBudget | None]:
    """Return the budgets of parsed arguments of ``latency_budget``: for calls, and for fresh processes.

    Raises:
        UsageError: two of them contradict each other; the text begins with ``where``.
    """
    if "speedup" in given and "max_slowdown" in given:
        raise UsageError(f"{where} has speedup= and max_slowdown=; both set the same ratio; keep one")
    _check_order(given, where)
    of_start = {name: value for name, value in given.items() if name in _STARTUP}
    of_calls = {name: value for name, value in given.items() if name not in _STARTUP}
    return (
        LatencyBudget(**_fields(of_calls)) if set(of_calls) - {"vs"} else None,
        StartupBudget(**_fields(of_start)) if of_start else None,
    )


def memory_budget(given: Mapping[str, Any]) -> MemoryBudget:
    """Return the budget of parsed arguments of ``memory_budget``."""
    return MemoryBudget(**_fields(given))


def kernels_budget(given: Mapping[str, Any], where: str) -> KernelsBudget:
    """Return the budget of parsed arguments of ``kernels``.

    Raises:
        UsageError: two of them contradict each other; the text begins with ``where``.
    """
    budget = KernelsBudget(**given)
    for name in budget.contains:
        if name in budget.absent:
            raise UsageError(f"{where}: contains= and absent= both name {name!r}; keep one")
    if (budget.int8_share or 0) + (budget.bf16_share or 0) > 1:
        raise UsageError(
            f"{where}: int8_share={budget.int8_share:g} and bf16_share={budget.bf16_share:g} are more than 1 together; "
            "they are shares of one time"
        )
    return budget


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
