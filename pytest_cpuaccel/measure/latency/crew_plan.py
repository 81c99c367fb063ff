"""A plan: what a turn of a process is made of, and how many sweeps a look takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_cpuaccel.measure.latency.crew import Crew
from pytest_cpuaccel.measure.latency.crew_look import LOOKS
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS, Burst, burst_for

DISCARDED = 8
DISCARDED_NS = 25_000_000
"""After another process's turn calls are slow for longer than within one process: with 3 discarded, a true ratio of
1.188 was read as 1.15 to 1.175."""

SWEEPS = 20
LEAST_SWEEPS = 8
LOOK_NS = 15e9
"""Of long calls fewer sweeps are taken: as many as fit into these ns at the first look, but ``LEAST_SWEEPS``."""

LEAST_MEETINGS = 5
"""Of every process; the median of fewer is no level."""

PROBE = Burst(discarded=0, timed=3, batch=1)
PROBED_NS = 10 * LONG_CALL_NS
"""Calls that a warm-up says take longer are long, however busy the machine was; they are not probed."""


@dataclass(frozen=True)
class Plan:
    """``burst`` is the same for both crews: otherwise equal ones near a boundary would be timed differently.

    ``call_ns`` is what a call typical of both takes, ``pair_ns`` what a turn of each takes together.
    """

    call_ns: float
    pair_ns: float
    burst: Burst
    sweeps: int

    def least_s(self, processes: int) -> float:
        """Return the seconds in which each of so many processes a side can have a level."""
        return LEAST_MEETINGS * processes * self.pair_ns / 1e9


def plan_for(candidate_ns: float, reference_ns: float) -> Plan:
    """Return the plan for calls that take about so long."""
    call_ns = math.sqrt(candidate_ns * reference_ns)
    burst = burst_for(call_ns)
    is_long = call_ns >= LONG_CALL_NS
    discarded = 1 if is_long else min(DISCARDED, math.ceil(DISCARDED_NS / call_ns))
    burst = replace(burst, discarded=discarded)
    pair_ns = (candidate_ns + reference_ns) * burst.batch * (burst.discarded + burst.timed)
    fitting = math.floor(LOOK_NS / (LOOKS[0].processes * pair_ns))
    return Plan(call_ns, pair_ns, burst, min(SWEEPS, max(LEAST_SWEEPS, fitting)))


def fastest_ns(crew: Crew, warm_ns: Sequence[float]) -> float:
    """Return what a crew's calls take, which warm-ups found to take ``warm_ns``.

    The fastest of several probes counts: a call that shares its processor with other work takes twice as long.
    """
    times_ns = list(warm_ns)
    if _fastest(times_ns) < PROBED_NS:
        times_ns += [ns for side in crew.sides for ns in side.take_turn(PROBE).calls_ns]
    return _fastest(times_ns)


def _fastest(times_ns: Iterable[float]) -> float:
    """The fastest of those that are times; where none is, a call is taken for a long one and timed alone."""
    return min((ns for ns in times_ns if math.isfinite(ns) and ns > 0), default=LONG_CALL_NS)
