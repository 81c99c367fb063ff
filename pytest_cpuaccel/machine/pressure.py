"""Pressure: how much other work wants the processors, and what was taken from this one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.core.measurement.strain import Strain
from pytest_cpuaccel.machine.cgroup import read_cpu_group
from pytest_cpuaccel.machine.cpu import cpus_online


@dataclass(frozen=True)
class Pressure:
    """What the kernel tells now; ``None`` where it keeps no account.

    ``load`` is the load average of the last minute, ``cpu_waiting`` the share of the last 10 s in which a task waited
    for a processor: Linux's PSI, "some avg10", as a fraction. ``throttled`` counts how often the control group ran out
    of CPU time so far. ``wanted_ticks`` is the CPU time that the whole machine has wanted so far, in ticks, of which a
    hypervisor gave ``stolen_ticks`` to others.
    """

    load: float
    cpu_waiting: float | None
    throttled: int | None = None
    wanted_ticks: int | None = None
    stolen_ticks: int | None = None


def read_pressure(root: Path = Path("/")) -> Pressure:
    """Return the pressure now; it takes about 0.3 ms."""
    waiting = _found(root / "proc/pressure/cpu", r"some avg10=([\d.]+)")
    load = _found(root / "proc/loadavg", r"([\d.]+)")
    wanted, stolen = _ticks(root)
    return Pressure(
        load=float(load) if load else os.getloadavg()[0],
        cpu_waiting=float(waiting) / 100 if waiting else None,
        throttled=read_cpu_group(root).throttled,
        wanted_ticks=wanted,
        stolen_ticks=stolen,
    )


def strain(before: Pressure, after: Pressure) -> Strain:
    """Return what was taken from a measurement between two readings."""
    known = before.throttled is not None and after.throttled is not None
    return Strain(
        load_before=before.load,
        load_after=after.load,
        cpu_waiting_before=before.cpu_waiting,
        cpu_waiting_after=after.cpu_waiting,
        throttled=(after.throttled or 0) - (before.throttled or 0) if known else None,
        steal=steal(before, after),
        cpus=cpus_online(),
    )


def steal(before: Pressure, after: Pressure) -> float | None:
    """Return the share of the wanted CPU time that was stolen between two readings; None where nobody keeps account."""
    if None in (before.wanted_ticks, before.stolen_ticks, after.wanted_ticks, after.stolen_ticks):
        return None
    wanted = (after.wanted_ticks or 0) - (before.wanted_ticks or 0)
    return ((after.stolen_ticks or 0) - (before.stolen_ticks or 0)) / wanted if wanted > 0 else 0.0


def _ticks(root: Path) -> tuple[int | None, int | None]:
    """Ticks wanted and stolen, of the first line of ``/proc/stat`` (proc_stat(5)).

    user, nice, system, idle, iowait, irq, softirq, steal; all but idle and iowait were wanted.
    """
    found = _found(root / "proc/stat", r"cpu +((?:\d+ ?)+)")
    ticks = [int(word) for word in found.split()] if found else []
    if len(ticks) < 8:
        return None, None
    return sum(ticks[:3]) + sum(ticks[5:8]), ticks[7]


def _found(path: Path, pattern: str) -> str | None:
    try:
        match = re.match(pattern, path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return match[1] if match else None
