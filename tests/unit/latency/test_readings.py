from __future__ import annotations

import math

import pytest

from pytest_cpuaccel.measure.latency.meeting import Meeting
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.readings import Readings, cpu, is_readable, readings, wall
from pytest_cpuaccel.measure.latency.turn import Turn
from tests.unit.latency.streams import turn


def meeting(candidate: int, reference: int, candidate_ns: float, reference_ns: float) -> Meeting:
    return Meeting(candidate, reference, Pair(turn(candidate_ns), turn(reference_ns), True, 0.0))


def test_a_level_is_the_median_of_what_a_process_took_over_whomever_it_met() -> None:
    met = [meeting(0, 0, 2.0, 1.0), meeting(0, 1, 4.0, 1.0), meeting(0, 1, 100.0, 1.0), meeting(1, 0, 1.0, 1.0)]
    levels = readings(met, 2, wall).levels()
    assert levels is not None
    assert levels.candidates == pytest.approx((math.log(4), 0))
    assert levels.references == pytest.approx((-math.log(2) / 2, -(math.log(4) + math.log(100)) / 2))


def test_the_process_with_the_fewest_readings_is_named() -> None:
    fewest = Readings(((0.1,) * 3, (0.1,) * 2), ((0.1,), (0.1,) * 4)).fewest
    assert (fewest.count, fewest.crew, fewest.place) == (1, "reference", 1)


@pytest.mark.parametrize("bad_ns", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_time_is_no_reading(bad_ns: float) -> None:
    good = Turn((1.0, 1.0, 1.0), 1.0, 0.0, 0)
    bad = Turn((1.0, bad_ns, 1.0), 1.0, 0.0, 0)
    assert is_readable(Pair(good, good, True, 0.0))
    assert not is_readable(Pair(good, bad, True, 0.0))
    assert not is_readable(Pair(bad, good, True, 0.0))
    without_cpu = Turn((1.0,), bad_ns, 0.0, 0)
    assert readings([Meeting(0, 0, Pair(good, without_cpu, True, 0.0))], 1, cpu).levels() is None


def test_a_turn_without_calls_is_no_reading() -> None:
    assert not is_readable(Pair(Turn((), 1.0, 0.0, 0), turn(1.0), True, 0.0))
