from __future__ import annotations

import pytest

from benchmarks.crews.made_up import Environments, Noise
from pytest_cpuaccel.measure.latency.crew import Crew
from pytest_cpuaccel.measure.latency.crew_plan import fastest_ns, plan_for
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS, Burst


@pytest.mark.parametrize(
    ("call_ns", "burst"),
    [
        (150e3, Burst(discarded=8, timed=5, batch=1)),
        (3e6, Burst(discarded=8, timed=5, batch=1)),
        (4e6, Burst(discarded=7, timed=5, batch=1)),
        (5e6, Burst(discarded=1, timed=1, batch=1)),
        (5e3, Burst(discarded=8, timed=5, batch=4)),
    ],
)
def test_short_calls_settle_for_longer_than_within_one_process(call_ns: float, burst: Burst) -> None:
    assert plan_for(call_ns, call_ns).burst == burst


def test_long_calls_have_fewer_sweeps_but_no_fewer_than_eight() -> None:
    assert [plan_for(ns, ns).sweeps for ns in (1e6, 20e6, 100e6, 2e9)] == [20, 20, 9, 8]


def test_a_call_is_as_long_as_in_the_fastest_of_several_probes() -> None:
    crews = Environments(1.0, 3e6, (lambda *_: 0.0, lambda *_: 0.0), Noise(0.0, 0.0)).grow(0)(4)
    disturbed = 7.2e6
    assert fastest_ns(crews.candidate, [disturbed, 2 * disturbed]) == pytest.approx(3e6)


def test_calls_that_are_long_however_busy_the_machine_are_not_probed() -> None:
    crews = Environments(1.0, 3e6, (lambda *_: 0.0, lambda *_: 0.0), Noise(0.0, 0.0)).grow(0)(4)
    assert fastest_ns(crews.candidate, [90e6, 60e6]) == pytest.approx(60e6)


@pytest.mark.parametrize("bad_ns", [0.0, float("nan"), float("inf")])
def test_a_warm_up_that_is_no_time_makes_no_bursts_of_thousands(bad_ns: float) -> None:
    crews = Environments(1.0, 3e6, (lambda *_: 0.0, lambda *_: 0.0), Noise(0.0, 0.0)).grow(0)(4)
    assert fastest_ns(crews.candidate, [bad_ns] * 4) == pytest.approx(3e6)
    assert fastest_ns(Crew(()), [bad_ns] * 4) == LONG_CALL_NS
