"""Budgets as a part of the JSON document, and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_cpuaccel.bundles.fields import Fields
from pytest_cpuaccel.core.budget import (
    AccuracyBudget,
    Budgets,
    KernelsBudget,
    LatencyBudget,
    MemoryBudget,
    ParityBudget,
    StartupBudget,
    Tolerance,
)
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.tolerance_lock import Lock

_NO_LIMIT = {"float": "inf"}
"""How a value says infinity in the document: what is measured, and held to nothing."""


def written(budgets: Budgets) -> dict[str, Any]:
    """Return budgets as an object with a field for each; null where a test has none."""
    found: dict[str, Any] = asdict(budgets)
    return {name: None if budget is None else _object(budget) for name, budget in found.items()}


def read(fields: Fields) -> Budgets:
    """Return the budgets that an object describes.

    Raises:
        UsageError: a field is not as the schema has it.
    """
    return Budgets(
        parity=fields.optional("parity", _parity),
        accuracy=fields.optional("accuracy", _accuracy),
        latency=fields.optional("latency", _latency),
        startup=fields.optional("startup", lambda found: StartupBudget(*_limits(found, "cold_start_ns", "build_ns"))),
        memory=fields.optional("memory", lambda found: MemoryBudget(*_limits(found, "peak_bytes", "artifact_bytes"))),
        kernels=fields.optional("kernels", _kernels),
    )


def _object(budget: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _NO_LIMIT if value == math.inf else value for name, value in budget.items()}


def _parity(fields: Fields) -> ParityBudget:
    own, locks = fields.object("outputs"), fields.object("locks")
    return ParityBudget(
        _tolerance(fields.object("tolerance")),
        {name: _tolerance(own.object(name)) for name in own.values},
        fields.texts("only"),
        fields.optional_text("mask"),
        {name: _lock(locks.object(name)) for name in locks.values},
    )


def _lock(fields: Fields) -> Lock:
    rmse, largest = (fields.number(name) or 0.0 for name in ("rmse", "largest"))
    varying_db = fields.number("varying_db") if "varying_db" in fields.values else None
    return Lock(rmse, largest, fields.text("place"), fields.text("measured_on"), varying_db)


def _tolerance(fields: Fields) -> Tolerance:
    return Tolerance(*(fields.number(name) for name in ("rtol", "atol", "cosine", "sqnr_db", "top1", "neighbours")))


def _accuracy(fields: Fields) -> AccuracyBudget:
    of = fields.optional_text("of")
    if of not in (None, "these"):
        raise UsageError("budgets.accuracy.of is neither null nor 'these'")
    return AccuracyBudget(fields.number("max_drop"), fields.number("min_score"), of)


def _latency(fields: Fields) -> LatencyBudget:
    times = (fields.positive(name) for name in ("p50_ns", "p90_ns", "p99_ns"))
    p50_ns, p90_ns, p99_ns = (None if time is None else int(time) for time in times)
    ttft_ns, tpot_ns = (None if time is None else int(time) for time in map(fields.positive, ("ttft_ns", "tpot_ns")))
    slowdown = fields.number("max_slowdown")
    if slowdown is not None and slowdown < 0:
        raise UsageError("budgets.latency.max_slowdown is below 0")
    return LatencyBudget(
        p50_ns=p50_ns,
        p90_ns=p90_ns,
        p99_ns=p99_ns,
        min_throughput=fields.positive("min_throughput"),
        ttft_ns=ttft_ns,
        tpot_ns=tpot_ns,
        speedup=fields.positive("speedup"),
        max_slowdown=slowdown,
        vs=fields.text("vs"),
    )


def _limits(fields: Fields, *names: str) -> list[float | None]:
    return [math.inf if fields.get(name) == _NO_LIMIT else fields.positive(name) for name in names]


def _kernels(fields: Fields) -> KernelsBudget:
    breaks = None if fields.get("max_graph_breaks") is None else fields.count("max_graph_breaks")
    return KernelsBudget(
        fields.number("int8_share"),
        fields.number("bf16_share"),
        fields.flag("no_fallback"),
        breaks,
        fields.texts("contains"),
        fields.texts("absent"),
    )
