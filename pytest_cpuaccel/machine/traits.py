"""Traits of this machine that make its timings unsteady."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_cpuaccel.core.measurement.strain import MUCH_STEAL
from pytest_cpuaccel.machine.cgroup import read_cpu_group
from pytest_cpuaccel.machine.cpu import cpus_online, this_machine
from pytest_cpuaccel.machine.pressure import Pressure, read_pressure, steal

UNKNOWN = "unknown"
MUCH_WAITING = 0.10

_CPUS = Path("sys/devices/system/cpu")
_BOOT = Pressure(load=0.0, cpu_waiting=None, throttled=0, wanted_ticks=0, stolen_ticks=0)


@dataclass(frozen=True)
class Trait:
    """``value`` is "unknown" where the kernel does not tell; ``harm`` says what it does to a timing, "" if nothing."""

    name: str
    value: str
    harm: str = ""


def traits(root: Path = Path("/")) -> Iterator[Trait]:
    """Yield what timing depends on, as it is now.

    Linux, Documentation/admin-guide/pm/cpufreq.rst and intel_pstate.rst, ABI/testing/sysfs-devices-system-cpu,
    accounting/psi.rst; proc_stat(5).
    """
    now = read_pressure(root)
    yield _affinity()
    yield _governor(root)
    yield _turbo(root)
    yield _smt(root)
    yield _quota(root)
    yield _throttling(now)
    yield _hypervisor(root)
    yield _steal(now)
    yield _load(now)
    yield _waiting(now)


def crowded(load: float) -> bool:
    """Tell whether more work wanted to run than there are CPUs."""
    return load > cpus_online()


def _affinity() -> Trait:
    usable = this_machine().cpus
    harm = "everything else that this process starts takes turns with what is timed" if usable == 1 else ""
    return Trait("usable CPUs", f"{usable} of {cpus_online()}", harm)


def _governor(root: Path) -> Trait:
    found = {_word(path) for path in (root / _CPUS).glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    governors = ", ".join(sorted(found)) or UNKNOWN
    harm = "the clock rate follows the load: calls after a rest are slower ('performance' keeps it up)"
    return Trait("governor", governors, "" if governors in (UNKNOWN, "performance") else harm)


def _turbo(root: Path) -> Trait:
    off, on = _word(root / _CPUS / "intel_pstate/no_turbo"), _word(root / _CPUS / "cpufreq/boost")
    if not off and not on:
        return Trait("turbo", UNKNOWN)
    if off == "1" or on == "0":
        return Trait("turbo", "off")
    return Trait("turbo", "on", "the clock rate depends on heat and on what other cores do: absolute budgets move")


def _smt(root: Path) -> Trait:
    active = _word(root / _CPUS / "smt/active")
    if active not in ("0", "1"):
        return Trait("SMT", UNKNOWN)
    harm = "work on the other thread of a core slows a call down though its CPU looks free"
    return Trait("SMT", "on", harm) if active == "1" else Trait("SMT", "off")


def _quota(root: Path) -> Trait:
    group = read_cpu_group(root)
    if group.quota_cpus is None:
        return Trait("cgroup quota", UNKNOWN if group.throttled is None else "none")
    harm = "a call that comes when it is used up stands still until the next period, 0.1 s as a rule"
    return Trait("cgroup quota", f"{group.quota_cpus:.3g} CPUs", harm)


def _throttling(now: Pressure) -> Trait:
    if now.throttled is None:
        return Trait("throttled", UNKNOWN)
    harm = "the quota was used up that often since the cgroup was made, and calls stood still"
    return Trait("throttled", f"{now.throttled} times", harm if now.throttled else "")


def _hypervisor(root: Path) -> Trait:
    try:
        flags = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].split()
    except OSError:
        return Trait("hypervisor", UNKNOWN)
    harm = "other guests use the same caches and cores, which nothing here shows but steal"
    return Trait("hypervisor", "yes", harm) if "hypervisor" in flags else Trait("hypervisor", "not seen")


def _steal(now: Pressure) -> Trait:
    stolen = steal(_BOOT, now)
    if stolen is None:
        return Trait("steal", UNKNOWN)
    harm = "the hypervisor gave that share of the CPU time wanted here to others"
    return Trait("steal", f"{100 * stolen:.2g} % since boot", harm if stolen > MUCH_STEAL else "")


def _load(now: Pressure) -> Trait:
    harm = "more wants to run than there are CPUs: calls wait for a processor"
    return Trait("load", f"{now.load:.1f} on {cpus_online()} CPUs", harm if crowded(now.load) else "")


def _waiting(now: Pressure) -> Trait:
    if now.cpu_waiting is None:
        return Trait("CPU pressure", UNKNOWN)
    harm = "tasks waited for a processor during that share of the last 10 s"
    return Trait("CPU pressure", f"{100 * now.cpu_waiting:.2g} %", harm if now.cpu_waiting > MUCH_WAITING else "")


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
