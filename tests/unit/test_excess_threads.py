"""A number of threads, compared with the CPUs that the process may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cpuaccel.machine.excess_threads import excess_threads


@pytest.fixture
def half_a_cpu(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("cpu")
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("50000 100000")
    return tmp_path


def test_one_thread_is_never_questioned(half_a_cpu: Path) -> None:
    assert excess_threads(1, half_a_cpu) == ""


def test_a_quota_counts_like_cpus(half_a_cpu: Path) -> None:
    assert excess_threads(2, half_a_cpu).startswith("2 threads, but only 1 CPU is usable here; ")
    assert excess_threads(2, half_a_cpu).endswith(": 1 would do")


def test_more_threads_than_any_machine_has_cpus(tmp_path: Path) -> None:
    assert excess_threads(100_000, tmp_path).startswith("100000 threads, but only ")
