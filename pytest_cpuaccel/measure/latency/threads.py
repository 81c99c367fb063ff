"""Threads: how many a call really runs on at once, as the kernel counts their CPU time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.measure.latency.turn import TimedCall

WATCH_S = 0.03
"""Calls are watched for this long, or one call if it takes longer: so short that it costs a race nothing."""

SPIN_S = 0.3
"""Idle OpenMP threads spin for 0.2 s after the work is done (KMP_BLOCKTIME), and would be taken for working ones."""

LEAST_SHARE = 0.05
"""Of the busiest thread's CPU time; less is no share of the work. Threads of a pool get a fifth and more each; those
of the interpreter, of allocators and of idle pools under a thousandth."""

LEAST_EXCESS = 0.1
"""Of a CPU. Threads that hand work over and wait for each other use one CPU between them."""

TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Use:
    """Threads that did a share of the work, how many CPUs all of them used, and how many they wanted.

    On a crowded machine threads want more than they get: they are queued. Wanting at once is no proof of working at
    once, as one that was woken may be queued while the one that woke it is not yet asleep.
    """

    threads: frozenset[str]
    cpus: float
    wanted: float

    def at_once(self, told: int) -> int | None:
        """Return how many threads worked at once; None where they had too little of the machine to show it."""
        if len(self.threads) <= told or self.wanted <= told + LEAST_EXCESS:
            return min(len(self.threads), told)
        return len(self.threads) if self.cpus > told + LEAST_EXCESS else None

    def without(self, idle: Use) -> Use:
        """Return the use without that of threads that work without being called."""
        if idle.cpus <= LEAST_EXCESS:
            return self
        others = idle.threads - {str(threading.get_native_id())}
        return Use(self.threads - others, self.cpus - idle.cpus, self.wanted - idle.wanted)


def threads_used(call: TimedCall, told: int) -> int | None:
    """Return how many threads a warm call runs on at once; None where that can't be known.

    More than ``told`` are counted only if they still work after a rest, in which threads that run without being called
    are found, and left out. A thread that lives no longer than a call is not seen.
    """
    use = _use(call)
    used = use.at_once(told) if use else None
    if use is None or used is None or used <= told:
        return used
    time.sleep(SPIN_S)
    idle, again = _use(lambda: time.sleep(WATCH_S)), _use(call)
    return again.without(idle).at_once(told) if idle and again else None


def _use(call: TimedCall) -> Use | None:
    before, started_ns = _readings(), time.perf_counter_ns()
    while time.perf_counter_ns() - started_ns < WATCH_S * 1e9:
        call()
    ns, after = time.perf_counter_ns() - started_ns, _readings()
    gains = {
        thread: (ran - before.get(thread, (0, 0))[0], queued - before.get(thread, (0, 0))[1])
        for thread, (ran, queued) in after.items()
    }
    most = max((ran for ran, _ in gains.values()), default=0)
    if not most:
        return None
    working = {thread: gain for thread, gain in gains.items() if gain[0] >= LEAST_SHARE * most}
    ran_ns = sum(ran for ran, _ in working.values())
    return Use(frozenset(working), ran_ns / ns, (ran_ns + sum(queued for _, queued in working.values())) / ns)


def _readings() -> dict[str, tuple[int, int]]:
    """For every thread, the ns so far that it ran, and that it was queued for a processor.

    The first two numbers of ``schedstat`` (Linux, Documentation/scheduler/sched-stats.rst).
    """
    found = {}
    for folder in TASKS.iterdir() if TASKS.exists() else ():
        try:
            ran_ns, queued_ns, _ = (folder / "schedstat").read_text().split()
        except OSError:  # it ended, or the kernel does not tell
            continue
        found[folder.name] = int(ran_ns), int(queued_ns)
    return found
