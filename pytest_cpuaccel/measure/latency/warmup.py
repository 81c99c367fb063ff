"""Warm-up: calls made before timing, until they stop getting faster."""

from __future__ import annotations

from math import inf
from statistics import median
from time import perf_counter_ns

from pytest_cpuaccel.measure.latency.turn import TimedCall, time_call

STEADY_CALLS = 20
STEADY_NS = 200_000_000
IMPROVEMENT = 0.03
LEAST_CALLS = 3


def warm_up(call: TimedCall, cap_s: float) -> float:
    """Call until 20 calls, or 200 ms of them, bring none that is over 3 % faster; return a typical call's ns.

    Short calls of ScriptModules, plain or by IPEX, then are within 2 % of what they take after 300 calls, no more off
    than after 50 that bring nothing; the first two, which compile, may take 85 ms. Other backends and long calls need 3
    at most. Ends early, after 3 calls at least, once ``cap_s`` seconds have passed.
    """
    deadline_ns = perf_counter_ns() + cap_s * 1e9
    calls_ns: list[int] = []
    best_ns = inf
    steady: list[int] = []
    while len(calls_ns) < LEAST_CALLS or (
        len(steady) < STEADY_CALLS and sum(steady) < STEADY_NS and perf_counter_ns() < deadline_ns
    ):
        call_ns = time_call(call)
        calls_ns.append(call_ns)
        if call_ns < best_ns * (1 - IMPROVEMENT):
            best_ns = call_ns
            steady.clear()
        else:
            steady.append(call_ns)
    return median(calls_ns[len(calls_ns) // 2 :])
