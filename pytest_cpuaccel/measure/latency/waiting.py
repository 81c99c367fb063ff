"""Waiting: the time in which calls were not on a processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.turn import Turn


def off_cpu_share(pairs: Sequence[Pair]) -> float:
    """Return the share of time that calls were neither on a processor nor queued for one.

    It is the calls' own waiting: sleep, disk, another thread. On a crowded machine every long call is preempted;
    without the kernel's word on the queue that counts as waiting too.
    """
    busy_ns = sum(turn.cpu_ns + turn.queued_ns for turn in _turns(pairs))
    return max(0.0, 1 - busy_ns / sum(turn.mean_ns for turn in _turns(pairs)))


def queued_share(pairs: Sequence[Pair]) -> float:
    """Return the share of time that calls were queued for a processor: how crowded the machine was."""
    return sum(turn.queued_ns for turn in _turns(pairs)) / sum(turn.mean_ns for turn in _turns(pairs))


def _turns(pairs: Sequence[Pair]) -> Iterator[Turn]:
    return (turn for pair in pairs for turn in (pair.candidate, pair.reference))
