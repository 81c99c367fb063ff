from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cpuaccel.machine.cgroup import CpuGroup, read_cpu_group

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make files below a root, by path and content, and return the root."""

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


V2 = "sys/fs/cgroup"
STAT = "usage_usec 5\nnr_periods 9\nnr_throttled {}\nthrottled_usec 3\n"


def test_in_version_2_the_strictest_of_a_group_and_those_around_it_holds(tree: Tree) -> None:
    root = tree(
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            f"{V2}/cgroup.controllers": "cpu",
            f"{V2}/cpu.stat": "usage_usec 5\n",
            f"{V2}/outer/cpu.max": "50000 100000\n",
            f"{V2}/outer/cpu.stat": STAT.format(30),
            f"{V2}/outer/inner/cpu.max": "max 100000\n",
            f"{V2}/outer/inner/cpu.stat": STAT.format(1),
        }
    )
    assert read_cpu_group(root) == CpuGroup(quota_cpus=0.5, throttled=31)


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_in_version_1_quota_and_period_stand_in_two_files(tree: Tree, mount: str) -> None:
    root = tree(
        {
            "proc/self/cgroup": "4:memory:/jobs\n3:cpu,cpuacct:/jobs\n0::/jobs\n",
            f"{V2}/{mount}/jobs/cpu.cfs_quota_us": "150000\n",
            f"{V2}/{mount}/jobs/cpu.cfs_period_us": "100000\n",
            f"{V2}/{mount}/jobs/cpu.stat": "nr_periods 8\nnr_throttled 7\nthrottled_time 1\n",
        }
    )
    assert read_cpu_group(root) == CpuGroup(quota_cpus=1.5, throttled=7)


def test_a_container_that_sees_its_group_as_the_top_is_read_there(tree: Tree) -> None:
    root = tree(
        {
            "proc/self/cgroup": "3:cpu:/docker/0123\n",
            f"{V2}/cpu/cpu.cfs_quota_us": "200000\n",
            f"{V2}/cpu/cpu.cfs_period_us": "100000\n",
            f"{V2}/cpu/cpu.stat": "nr_throttled 0\n",
        }
    )
    assert read_cpu_group(root) == CpuGroup(quota_cpus=2, throttled=0)


def test_without_a_limit_there_is_no_quota(tree: Tree) -> None:
    root = tree(
        {
            "proc/self/cgroup": "3:cpu:/\n",
            f"{V2}/cpu/cpu.cfs_quota_us": "-1\n",
            f"{V2}/cpu/cpu.cfs_period_us": "100000\n",
            f"{V2}/cpu/cpu.stat": "nr_throttled 0\n",
        }
    )
    assert read_cpu_group(root) == CpuGroup(quota_cpus=None, throttled=0)


def test_a_kernel_without_groups_tells_nothing(tmp_path: Path) -> None:
    assert read_cpu_group(tmp_path) == CpuGroup(None, None)


def test_a_group_seen_from_outside_of_its_namespace_leads_no_further_up(tree: Tree) -> None:
    root = tree(
        {
            "proc/self/cgroup": "0::/../../other\n",
            f"{V2}/cgroup.controllers": "cpu",
            f"{V2}/cpu.max": "50000 100000\n",
        }
    )
    assert read_cpu_group(root).quota_cpus == 0.5
