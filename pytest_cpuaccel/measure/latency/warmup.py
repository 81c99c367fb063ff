"""Warm-up: calls made before timing, until they stop getting faster."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns

from pytest_cpuaccel.measure.latency.turn import Call, time_call

WINDOW = 10
PATIENCE = 5
IMPROVEMENT = 0.03
LEAST_CALLS = 3


def warm_up(call: Call, cap_s: float) -> float:
    """Call until 5 windows of 10 calls bring no window that is over 3 % faster; return a typical call's ns.

    TorchScript needs 31 to 49 calls, the first two of them for its own compiling; other backends at most 3.
    Ends early, after 3 calls at least, once ``cap_s`` seconds have passed.
    """
    deadline_ns = perf_counter_ns() + cap_s * 1e9
    calls_ns: list[int] = []
    best_ns = float("inf")
    stale = 0
    while stale < PATIENCE:
        calls_ns.append(time_call(call))
        if len(calls_ns) >= LEAST_CALLS and perf_counter_ns() >= deadline_ns:
            break
        if len(calls_ns) % WINDOW == 0:
            window_ns = min(calls_ns[-WINDOW:])
            stale = 0 if window_ns < best_ns * (1 - IMPROVEMENT) else stale + 1
            best_ns = min(best_ns, window_ns)
    return median(calls_ns[len(calls_ns) // 2 :])
