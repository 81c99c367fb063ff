"""Endless streams of pairs and blocks, as a machine could have given them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from pytest_cpuaccel.measure.latency.block import Block
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.turn import Turn


def turn(wall_ns: float, cpu_ns: float | None = None, queued_ns: float = 0.0) -> Turn:
    return Turn((wall_ns,), wall_ns if cpu_ns is None else cpu_ns, queued_ns, switches=int(queued_ns > 0))


def pairs(ratio: float, *, noise: float = 0.0, call_ns: float = 1e6, seed: int = 0) -> Iterator[Pair]:
    """Pairs whose ratio is log-normal about ``ratio`` with spread ``noise``, always on the processor."""
    draw = random.Random(seed)
    for count in itertools.count(1):
        candidate = turn(ratio * call_ns * draw.lognormvariate(0, noise))
        yield Pair(candidate, turn(call_ns), bool(count % 2), elapsed_s=count * 2 * call_ns / 1e9)


def crowded_pairs(
    ratio: float, *, cpu_ratio: float | None = None, waiting: float = 0.0, seed: int = 0
) -> Iterator[Pair]:
    """Pairs of 100 ms calls on a crowded machine: CPU time is steady, every turn is preempted.

    ``waiting`` is the share of their time that the calls themselves spend off the processor.
    """
    draw = random.Random(seed)

    def crowded(wall_ns: float, cpu_ns: float) -> Turn:
        cpu_ns *= (1 - waiting) * draw.lognormvariate(0, 0.01)
        queued_ns = wall_ns * draw.expovariate(2.0)
        return turn(wall_ns + queued_ns, cpu_ns, queued_ns)

    for count in itertools.count(1):
        candidate = crowded(ratio * 100e6, (cpu_ratio or ratio) * 100e6)
        yield Pair(candidate, crowded(100e6, 100e6), bool(count % 2), elapsed_s=count * 0.2)


def blocks(
    call_ns: float, *, noise: float = 0.0, slow_share: float = 0.0, probe_ns: float = 1000.0, seed: int = 0
) -> Iterator[Block]:
    """Blocks of about 50 ms; ``slow_share`` of the calls take three times as long."""
    draw = random.Random(seed)
    elapsed_ns = 0
    while True:
        calls_ns = tuple(
            int(call_ns * draw.lognormvariate(0, noise) * (3 if draw.random() < slow_share else 1))
            for _ in range(max(1, int(50e6 / call_ns)))
        )
        elapsed_ns += sum(calls_ns)
        yield Block(
            {"latency": calls_ns}, draw.randrange(len(calls_ns)), probe_ns, switches=0, elapsed_s=elapsed_ns / 1e9
        )
