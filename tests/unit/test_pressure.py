from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cpuaccel.machine.pressure import Pressure, read_pressure, steal, strain

TICKS = "cpu  {user} 10 20 5000 300 1 2 {stolen} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in (
        ("pressure/cpu", "some avg10=12.50 avg60=0.65 total=6022212\nfull avg10=1.00 avg60=0 total=0\n"),
        ("loadavg", "7.90 1.00 0.50 3/250 4711\n"),
        ("stat", TICKS.format(user=60, stolen=7)),
        ("self/cgroup", "0::/\n"),
    ):
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "sys/fs/cgroup/unified").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/unified/cpu.stat").write_text("nr_throttled 3\n")
    return tmp_path


def test_pressure_is_what_the_kernel_tells_now(root: Path) -> None:
    assert read_pressure(root) == Pressure(
        load=7.9, cpu_waiting=0.125, throttled=3, wanted_ticks=60 + 10 + 20 + 1 + 2 + 7, stolen_ticks=7
    )


def test_a_kernel_that_keeps_no_account_gives_only_the_load(tmp_path: Path) -> None:
    pressure = read_pressure(tmp_path)
    assert pressure.load >= 0
    assert pressure == Pressure(pressure.load, None)
    found = strain(pressure, pressure)
    assert (found.throttled, found.steal) == (None, None)
    assert steal(pressure, pressure) is None


def test_strain_is_what_was_taken_between_two_readings(root: Path) -> None:
    before = read_pressure(root)
    (root / "proc/stat").write_text(TICKS.format(user=60 + 88, stolen=7 + 12))
    (root / "sys/fs/cgroup/unified/cpu.stat").write_text("nr_throttled 34\n")
    found = strain(before, read_pressure(root))
    assert (found.throttled, found.steal) == (31, pytest.approx(0.12))


def test_readings_within_one_tick_show_no_steal(root: Path) -> None:
    assert steal(read_pressure(root), read_pressure(root)) == 0
