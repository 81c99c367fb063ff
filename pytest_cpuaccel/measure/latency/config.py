"""The settings of a latency measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.core.progress import say_nothing


@dataclass(frozen=True)
class RaceConfig:
    """Error rates, time caps and thread count of one measurement.

    ``alpha_fail`` bounds the probability of a FAIL when the budget is met, ``alpha_pass`` that of a PASS
    when it is not. ``cap_s`` ends a measurement without a verdict; calls over 50 ms, and p99 budgets, have
    ``long_cap_s``. ``threads`` is the number that every runtime was set to; with one thread, process CPU time
    can stand for latency. ``progress`` gets a line about once a second.
    A verdict takes ``min_pairs``, or as many as its interval does: 10 at an alpha of 0.005, 12 if CPU time shares it.
    """

    alpha_fail: float = 0.005
    alpha_pass: float = 0.01
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
