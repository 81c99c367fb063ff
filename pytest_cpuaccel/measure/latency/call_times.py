"""A reading: the times of one call."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cpuaccel.measure.latency.limit import Quantity
from pytest_cpuaccel.measure.latency.turn import Call, time_call

Reading = dict[Quantity, float]
"""ns by quantity; always with ``latency``."""

Read = Callable[[], Reading]
"""Makes one call and times it."""


def read_latency(call: Call) -> Reading:
    """Make one call and time all of it."""
    return {"latency": time_call(call)}
