"""The settings of a latency measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.core.progress import say_nothing


@dataclass(frozen=True)
class RaceConfig:
    """Error rates, time caps and thread count of one measurement.

    ``alpha_above`` bounds the probability that a figure is shown to be above a limit when it is not, ``alpha_below``
    that it is shown to be below when it is not. ``cap_s`` ends a measurement that has shown neither; calls over 50 ms,
    and limits of p99, have ``long_cap_s``. ``threads`` is the number that every runtime was set to; with one thread,
    process CPU time can stand for latency. ``progress`` gets a line about once a second.
    It takes ``min_pairs`` to show anything, or as many as an interval does: 10 at an alpha of 0.005, 12 if CPU time
    shares it.
    """

    alpha_above: float = 0.005
    alpha_below: float = 0.01
    min_pairs: int = 10
    min_s: float = 0.1
    cap_s: float = 10.0
    long_cap_s: float = 30.0
    warmup_cap_s: float = 3.0
    threads: int = 1
    seed: int = 0
    progress: Callable[[str], None] = say_nothing

    def cap_for(self, call_ns: float) -> float:
        """Return the cap in seconds for calls that take about ``call_ns``."""
        return self.long_cap_s if call_ns > SLOW_CALL_NS else self.cap_s


SLOW_CALL_NS = 50_000_000
"""Of slower calls too few fit under the ordinary cap."""
