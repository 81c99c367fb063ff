"""A limit: the most that one of the times of a call may be, in a stated share of all calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_cpuaccel.core.units import format_duration, format_rate

Quantity = Literal["latency", "ttft", "tpot"]
"""What is timed of a call: all of it, the time to its first token, or the time per token after that."""


@dataclass(frozen=True)
class Limit:
    """At ``level`` (0.9: in 90 % of all calls) ``quantity`` may be ``ns`` at most.

    With ``items``, the number of them that one call answers, it is a least throughput, ``items`` over ``ns``, and
    shown as such.
    """

    ns: float
    level: float = 0.5
    quantity: Quantity = "latency"
    items: int | None = None

    @property
    def text(self) -> str:
        """What is allowed, as a reader knows it."""
        return self.show(self.ns)

    def show(self, ns: float) -> str:
        """Return a time as what is limited: a duration, or the throughput of calls that take so long."""
        return format_duration(ns) if self.items is None else format_rate(self.items * 1e9 / ns)
