from __future__ import annotations

import pytest

from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.core.measurement.latency import TooSlow
from pytest_cpuaccel.judge.latency import said_of_slow_calls
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.feasibility import Reach

S = 1e9


def said(found: TooSlow | None) -> str:
    assert found is not None
    return said_of_slow_calls(found, "eager")


def test_a_call_longer_than_the_cap_is_told_with_both_numbers() -> None:
    reach = Reach(41 * S, 0, RaceConfig())
    assert not reach.holds_a_pair
    assert said(reach.no_race) == (
        "one call took 41.0 s; the 12 pairs of calls that a verdict on a ratio needs take 492 s, and 30.0 s are allowed"
    )
    assert said(reach.no_percentiles({"p50": Limit(30 * S)})) == (
        "one call took 41.0 s; the 8 calls that a verdict on p50 needs take 328 s, and 30.0 s are allowed"
    )


def test_a_slow_opponent_is_named() -> None:
    reach = Reach(1 * S, 3 * S, RaceConfig())
    assert reach.holds_a_pair
    assert said(reach.no_race).startswith("one call took 1.00 s, one of eager 3.00 s; the 12 pairs ")
    assert reach.no_percentiles({"p50": Limit(30 * S)}) is None


@pytest.mark.parametrize("call_s", [1e-6, 0.05, 1.2])
def test_what_fits_is_tried(call_s: float) -> None:
    reach = Reach(call_s * S, call_s * S, RaceConfig())
    assert reach.no_race is None
    assert reach.no_percentiles({"p50": Limit(S), "p99": Limit(S)}) is None


def test_of_several_limits_the_one_soonest_decided_counts() -> None:
    """That a call breaks p99 is known after far fewer calls than that it keeps p50."""
    reach = Reach(5 * S, 5 * S, RaceConfig())
    assert reach.no_percentiles({"p50": Limit(S)})
    assert reach.no_percentiles({"p50": Limit(S), "p99": Limit(S, level=0.99)}) is None
