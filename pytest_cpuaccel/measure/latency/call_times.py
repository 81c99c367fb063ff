"""A reading: the times of one call."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cpuaccel.core.limit import Quantity
from pytest_cpuaccel.measure.latency.side import Side

Reading = dict[Quantity, float]
"""ns by quantity; always with ``latency``."""

Read = Callable[[], Reading]
"""Makes one call and times it."""


def read_latency(side: Side) -> Reading:
    """Make one call of a side and time all of it."""
    return {"latency": side.call_ns()}
