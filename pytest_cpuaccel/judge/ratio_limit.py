"""The ratio of two latencies that a budget allows."""

from __future__ import annotations

from pytest_cpuaccel.core.budget import LatencyBudget


def ratio_limit(budget: LatencyBudget) -> float | None:
    """Return the greatest allowed ``latency(backend) / latency(vs)``; None where the budget sets none."""
    if budget.speedup is not None:
        return 1 / budget.speedup
    return None if budget.max_slowdown is None else 1 + budget.max_slowdown
