from __future__ import annotations

import pytest

from pytest_cpuaccel.measure.latency import block, crew_race, meeting, pair, percentile, race, turn, warmup
from tests.unit.latency.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (block, crew_race, meeting, pair, percentile, race, turn, warmup):
        monkeypatch.setattr(module, "perf_counter_ns", clock.wall)
    for module in (block, turn):
        monkeypatch.setattr(module, "getrusage", clock.usage)
    monkeypatch.setattr(turn, "process_time_ns", clock.cpu)
    monkeypatch.setattr(turn, "queued_ns", clock.queued)
    return clock
