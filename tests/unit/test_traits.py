from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cpuaccel.machine import traits as fitness
from pytest_cpuaccel.machine.traits import traits

CPUS = "sys/devices/system/cpu"
GROUP = "sys/fs/cgroup"

BAD = {
    f"{CPUS}/cpu0/cpufreq/scaling_governor": "powersave\n",
    f"{CPUS}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPUS}/intel_pstate/no_turbo": "0\n",
    f"{CPUS}/smt/active": "1\n",
    "proc/self/cgroup": "0::/\n",
    f"{GROUP}/cgroup.controllers": "cpu\n",
    f"{GROUP}/cpu.max": "150000 100000\n",
    f"{GROUP}/cpu.stat": "nr_throttled 31\n",
    "proc/cpuinfo": "model name : x\nflags : fpu hypervisor avx2\n\nmodel name : x\n",
    "proc/stat": "cpu  80 0 0 900 0 0 0 20 0 0\n",
    "proc/loadavg": "7.90 1.00 0.50 3/250 4711\n",
    "proc/pressure/cpu": "some avg10=25.00 avg60=0.65 total=6022212\n",
}
GOOD = BAD | {
    f"{CPUS}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPUS}/intel_pstate/no_turbo": "1\n",
    f"{CPUS}/smt/active": "0\n",
    f"{GROUP}/cpu.max": "max 100000\n",
    f"{GROUP}/cpu.stat": "nr_throttled 0\n",
    "proc/cpuinfo": "flags : fpu avx2\n",
    "proc/stat": "cpu  80 0 0 900 0 0 0 0 0 0\n",
    "proc/loadavg": "1.50 1.00 0.50 3/250 4711\n",
    "proc/pressure/cpu": "some avg10=1.00 avg60=0.65 total=6022212\n",
}


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness, "cpus_online", lambda: 2)


def read(root: Path, files: dict[str, str]) -> dict[str, tuple[str, bool]]:
    """Values by name, and whether they do harm; of the affinity, which is not in a file, nothing."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {trait.name: (trait.value, bool(trait.harm)) for trait in traits(root) if trait.name != "usable CPUs"}


def test_what_is_bad_for_timing_is_said_to_be(tmp_path: Path) -> None:
    assert read(tmp_path, BAD) == {
        "governor": ("performance, powersave", True),
        "turbo": ("on", True),
        "SMT": ("on", True),
        "cgroup quota": ("1.5 CPUs", True),
        "throttled": ("31 times", True),
        "hypervisor": ("yes", True),
        "steal": ("20 % since boot", True),
        "load": ("7.9 on 2 CPUs", True),
        "CPU pressure": ("25 %", True),
    }


def test_what_is_good_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == {
        "governor": ("performance", False),
        "turbo": ("off", False),
        "SMT": ("off", False),
        "cgroup quota": ("none", False),
        "throttled": ("0 times", False),
        "hypervisor": ("not seen", False),
        "steal": ("0 % since boot", False),
        "load": ("1.5 on 2 CPUs", False),
        "CPU pressure": ("1 %", False),
    }


def test_what_the_kernel_does_not_tell_is_unknown(tmp_path: Path) -> None:
    found = read(tmp_path, {})
    assert found.pop("load")[0].endswith(" on 2 CPUs")
    assert set(found.values()) == {("unknown", False)}


@pytest.mark.parametrize(("boost", "value"), [("0", "off"), ("1", "on")])
def test_turbo_of_other_drivers_is_read_too(tmp_path: Path, boost: str, value: str) -> None:
    assert read(tmp_path, {f"{CPUS}/cpufreq/boost": boost})["turbo"][0] == value
