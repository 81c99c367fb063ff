from __future__ import annotations

from pathlib import Path
from time import perf_counter_ns, process_time_ns

import pytest

from pytest_cpuaccel.machine import run_queue as runqueue
from pytest_cpuaccel.machine.run_queue import queued_ns


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel keeps no schedstat")
def test_working_is_not_queueing() -> None:
    started_ns, queued_before_ns = perf_counter_ns(), queued_ns()
    cpu_before_ns = process_time_ns()
    while process_time_ns() - cpu_before_ns < 5_000_000:
        pass
    assert 0 <= queued_ns() - queued_before_ns <= perf_counter_ns() - started_ns


def test_a_kernel_that_keeps_no_schedstat_tells_of_no_queueing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runqueue.threading, "get_native_id", lambda: 2**31 - 1)
    assert queued_ns() == 0
