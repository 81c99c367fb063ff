"""Budgets as a part of the JSON document, and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import fields as fields_of
from typing import Any

from pytest_cpuaccel.core import budget_values as values
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
from pytest_cpuaccel.core.tolerances import TOLERANCES
from pytest_cpuaccel.exchange.fields import Fields

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
    _only(fields, Budgets)
    return Budgets(
        parity=fields.optional("parity", _parity),
        accuracy=fields.optional("accuracy", _accuracy),
        latency=fields.optional("latency", _latency),
        startup=fields.optional("startup", lambda found: StartupBudget(**_limits(found, StartupBudget))),
        memory=fields.optional("memory", lambda found: MemoryBudget(**_limits(found, MemoryBudget))),
        kernels=fields.optional("kernels", _kernels),
    )


def _only(fields: Fields, kind: type[Any]) -> None:
    fields.only(*(item.name for item in fields_of(kind)))


def _object(budget: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _NO_LIMIT if value == math.inf else value for name, value in budget.items()}


def _parity(fields: Fields) -> ParityBudget:
    _only(fields, ParityBudget)
    own, locks = fields.object("outputs"), fields.object("locks")
    return ParityBudget(
        _tolerance(fields.object("tolerance")),
        {name: _tolerance(own.object(name)) for name in own.values},
        fields.texts("only"),
        fields.optional_text("mask"),
        {name: _lock(locks.object(name)) for name in locks.values},
        fields.optional("logits_lock", _lock) if "logits_lock" in fields.values else None,
        fields.flag("of_candidate") if "of_candidate" in fields.values else False,
    )


def _lock(fields: Fields) -> Lock:
    _only(fields, Lock)
    rmse, largest = (fields.meant(name, values.tolerance) for name in ("rmse", "largest"))
    if rmse is None or largest is None:
        raise UsageError("budgets.parity.locks has one without rmse or largest")
    varying_db = fields.number("varying_db") if "varying_db" in fields.values else None
    return Lock(rmse, largest, fields.text("place"), fields.text("measured_on"), varying_db)


def _tolerance(fields: Fields) -> Tolerance:
    _only(fields, Tolerance)
    return Tolerance(**{name: fields.meant(name, parse) for name, parse in TOLERANCES.items()})


def _accuracy(fields: Fields) -> AccuracyBudget:
    _only(fields, AccuracyBudget)
    of = fields.optional_text("of")
    if of not in (None, "these"):
        raise UsageError("budgets.accuracy.of is neither null nor 'these'")
    found = AccuracyBudget(fields.meant("max_drop", values.tolerance), fields.number("min_score"), of)
    if found.max_drop is None and found.min_score is None:
        raise UsageError("budgets.accuracy promises nothing")
    return found


def _latency(fields: Fields) -> LatencyBudget:
    _only(fields, LatencyBudget)
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


def _limits(fields: Fields, kind: type[Any]) -> dict[str, float | None]:
    _only(fields, kind)
    names = [item.name for item in fields_of(kind)]
    return {name: math.inf if fields.get(name) == _NO_LIMIT else fields.positive(name) for name in names}


def _kernels(fields: Fields) -> KernelsBudget:
    _only(fields, KernelsBudget)
    breaks = None if fields.get("max_graph_breaks") is None else fields.count("max_graph_breaks")
    return KernelsBudget(
        fields.meant("int8_share", values.share),
        fields.meant("bf16_share", values.share),
        fields.flag("no_fallback"),
        breaks,
        fields.texts("contains"),
        fields.texts("absent"),
    )
