"""The limits that a latency budget sets for the calls of one workload."""

from __future__ import annotations

from torch import nn

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.evaluation.batch import batch_size
from pytest_cpuaccel.evaluation.tokens import why_not_heard
from pytest_cpuaccel.measure.latency.limit import Limit
from pytest_cpuaccel.recording.workload import Workload

_LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def limits_of(budget: LatencyBudget, workload: Workload, model: nn.Module) -> dict[str, Limit]:
    """Return the limits by name, none where the budget sets none.

    Raises:
        UsageError: a throughput of a call without a batch, or a time of tokens that can't be taken.
    """
    limits = {name: Limit(ns, level) for name, level in _LEVELS.items() if (ns := getattr(budget, f"{name}_ns"))}
    if budget.min_throughput is not None:
        limits["throughput"] = _throughput(budget.min_throughput, workload)
    tokens: dict[str, Limit] = {}
    if budget.ttft_ns is not None:
        tokens["ttft"] = Limit(budget.ttft_ns, quantity="ttft")
    if budget.tpot_ns is not None:
        tokens["tpot"] = Limit(budget.tpot_ns, quantity="tpot")
    reason = why_not_heard(workload.sample, model) if tokens else None
    if reason:
        raise UsageError(f"latency_budget({'=, '.join(tokens)}=): {workload.label}: {reason}")
    return limits | tokens


def _throughput(items_per_s: float, workload: Workload) -> Limit:
    try:
        items = batch_size(workload.sample)
    except UsageError as reason:
        raise UsageError(f"latency_budget(min_throughput=): {workload.label}: {reason}") from None
    return Limit(items / items_per_s * 1e9, items=items)
