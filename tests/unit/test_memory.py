"""Memory as the kernel tells it."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from pytest_cpuaccel.core.budget import MemoryBudget
from pytest_cpuaccel.core.measurement.memory import MemoryMeasurement
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.memory import judge_memory
from pytest_cpuaccel.machine.memory import Memory, read_memory
from pytest_cpuaccel.measure.memory import artifact_size, process_memory

STATUS = """Name:\tpython
VmPeak:\t  900000 kB
VmHWM:\t   50000 kB
VmRSS:\t   40000 kB
RssAnon:\t   30000 kB
RssFile:\t   10000 kB
Groups:\t
"""


def test_the_kernels_kilobytes_become_bytes(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(STATUS)
    assert read_memory(tmp_path / "status") == Memory(40_000 * 1024, 30_000 * 1024, 50_000 * 1024)


@pytest.mark.parametrize("status", [None, STATUS.replace("VmHWM", "VmOther")])
def test_a_kernel_that_does_not_tell_is_believed(tmp_path: Path, status: str | None) -> None:
    if status is not None:
        (tmp_path / "status").write_text(status)
    assert read_memory(tmp_path / "status") is None


def test_where_the_kernel_does_not_tell_nothing_fails() -> None:
    untold = MemoryMeasurement(process=process_memory({"imports": None, "load": None, "first call": None}))
    found = judge_memory(untold, MemoryBudget(peak_bytes=1), "twin: forward")
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.sentence == "twin: forward: peak memory is unknown: /proc/self/status does not tell it here"


def test_the_verdict_says_what_was_held_after_each_stage_and_which_files_are_large() -> None:
    held = {"imports": Memory(10_000, 5_000, 12_000), "first call": Memory(30_000, 20_000, 40_000)}
    sizes = {"a": 1_000, "b": 3_000, "c": 2_000, "d": 4_000}
    found = judge_memory(
        MemoryMeasurement(process_memory(held), artifact_size(sizes)), MemoryBudget(20_000, 5_000), "twin: forward"
    )
    assert found.outcome is Outcome.FAIL
    assert (
        found.sentence == "twin: forward: peak memory was 40.0 KB, budget 20.0 KB; artifact is 10.0 KB, budget 5.00 KB"
    )
    assert found.evidence == (
        "10.0 KB after imports, 30.0 KB after first call; of the last, 20.0 KB without a file behind it",
        "of the artifact: d 4.00 KB, b 3.00 KB, c 2.00 KB",
    )


def memory_now() -> Memory:
    found = read_memory()
    assert found is not None
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_peak_stays_when_memory_is_given_back() -> None:
    size = 64 << 20
    before = memory_now()
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        block.write(b"x" * size)
        during = memory_now()
    after = memory_now()
    assert during.anonymous_bytes - before.anonymous_bytes > 0.9 * size
    assert after.peak_bytes >= during.resident_bytes
    assert during.resident_bytes - after.resident_bytes > 0.9 * size
