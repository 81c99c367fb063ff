"""The limits of a latency budget, checked against the call."""

from __future__ import annotations

from torch import nn

from pytest_cpuaccel.core.budget import LatencyBudget
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.evaluation.batch import batch_size
from pytest_cpuaccel.evaluation.tokens import why_not_heard
from pytest_cpuaccel.judge.latency import limits_of
from pytest_cpuaccel.recording.workload import Workload


def checked_limits(budget: LatencyBudget, workload: Workload, model: nn.Module) -> dict[str, Limit]:
    """Return the limits by name, none where the budget sets none.

    Raises:
        UsageError: a throughput of a call without a batch, or a time of tokens that can't be taken.
    """
    limits = limits_of(budget, None if budget.min_throughput is None else _items(workload))
    tokens = [name for name, limit in limits.items() if limit.quantity != "latency"]
    reason = why_not_heard(workload.sample, model) if tokens else None
    if reason:
        raise UsageError(f"latency_budget({'=, '.join(tokens)}=): {workload.label}: {reason}")
    return limits


def _items(workload: Workload) -> int:
    try:
        return batch_size(workload.sample)
    except UsageError as reason:
        raise UsageError(f"latency_budget(min_throughput=): {workload.label}: {reason}") from None
