from __future__ import annotations

import pytest

from pytest_cpuaccel.measure.latency import probe
from pytest_cpuaccel.measure.latency.probe import Probe
from tests.unit.latency.clock import Clock


def test_a_probe_remembers_its_fastest_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_work", clock.call(iter([500, 400, 700])))
    session = Probe()
    assert [session.time_ns() for _ in range(3)] == [500, 400, 700]
    assert session.best_ns == 400
