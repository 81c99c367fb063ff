from __future__ import annotations

import pytest

from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.feasibility import Reach
from pytest_cpuaccel.measure.latency.limit import Limit

S = 1e9


def test_a_call_longer_than_the_cap_is_told_with_both_numbers() -> None:
    reach = Reach(41 * S, 0, RaceConfig())
    assert not reach.holds_a_pair
    assert reach.why_no_race("eager") == (
        "one call took 41.0 s; the 12 pairs of calls that a verdict on a ratio needs take 492 s, and 30.0 s are allowed"
    )
    assert reach.why_no_hold({"p50": Limit(30 * S)}) == (
        "one call took 41.0 s; the 8 calls that a verdict on p50 needs take 328 s, and 30.0 s are allowed"
    )


def test_a_slow_opponent_is_named() -> None:
    reach = Reach(1 * S, 3 * S, RaceConfig())
    assert reach.holds_a_pair
    assert str(reach.why_no_race("eager")).startswith("one call took 1.00 s, one of eager 3.00 s; the 12 pairs ")
    assert reach.why_no_hold({"p50": Limit(30 * S)}) is None


@pytest.mark.parametrize("call_s", [1e-6, 0.05, 1.2])
def test_what_fits_is_tried(call_s: float) -> None:
    reach = Reach(call_s * S, call_s * S, RaceConfig())
    assert reach.why_no_race("eager") is None
    assert reach.why_no_hold({"p50": Limit(S), "p99": Limit(S)}) is None


def test_of_several_limits_the_one_soonest_decided_counts() -> None:
    """That a call breaks p99 is known after far fewer calls than that it keeps p50."""
    reach = Reach(5 * S, 5 * S, RaceConfig())
    assert reach.why_no_hold({"p50": Limit(S)})
    assert reach.why_no_hold({"p50": Limit(S), "p99": Limit(S, level=0.99)}) is None
