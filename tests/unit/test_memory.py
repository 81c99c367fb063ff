"""Memory as the kernel tells it."""

from __future__ import annotations

import contextlib
import mmap
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_cpuaccel.core.budget import Budgets, MemoryBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation import memory
from pytest_cpuaccel.evaluation.evaluation import Evaluation, Scores
from pytest_cpuaccel.isolated.report import Report, Stage
from pytest_cpuaccel.machine.memory import Memory, read_memory
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.recording.workload import Workload
from tests import doubles, models

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


def test_where_the_kernel_does_not_tell_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    untold = Report((Stage("imports", 1, 0, None), Stage("load", 1, 0, None), Stage("first call", 1, 0, None)))
    monkeypatch.setattr(memory, "dispatched", lambda *_: contextlib.nullcontext(Path()))
    monkeypatch.setattr(memory, "run", lambda *_, **__: untold)
    model, call = models.mlp(), Call("forward", Inputs(), None)
    evaluation = Evaluation(model, model, doubles.TWIN, doubles.TWIN, (call,), Scores(), Budgets())
    context: Any = SimpleNamespace(race=RaceConfig())
    found = memory.judge_memory(Workload("forward", (call,)), evaluation, MemoryBudget(peak_bytes=1), context)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.sentence == "twin: forward: peak memory is unknown: /proc/self/status does not tell it here"


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
