"""More threads than this process has CPUs."""

from __future__ import annotations

import math
from pathlib import Path

from pytest_cpuaccel.machine.cgroup import read_cpu_group
from pytest_cpuaccel.machine.cpu import this_machine


def excess_threads(threads: int, root: Path = Path("/")) -> str:
    """Return what is wrong with a number of threads that is greater than that of the usable CPUs; ``""`` if none is.

    Usable are the CPUs that the process is bound to, or fewer where its control group has a quota.
    """
    quota = read_cpu_group(root).quota_cpus
    usable = min(this_machine().cpus, math.inf if quota is None else max(1, math.ceil(quota)))
    if threads <= usable:
        return ""
    few = "1 CPU is" if usable == 1 else f"{usable} CPUs are"
    fit = "1" if usable == 1 else f"1 to {usable}"
    return f"{threads} threads, but only {few} usable here; they take turns, so latencies mean little: {fit} would do"
