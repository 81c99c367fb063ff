from __future__ import annotations

from itertools import chain, repeat

from pytest_cpuaccel.measure.latency.warmup import warm_up
from tests.unit.latency.clock import Clock


def test_a_steady_call_is_warm_after_twenty_more(clock: Clock) -> None:
    assert warm_up(clock.call(1_000), cap_s=3) == 1_000
    assert clock.ns == 21 * 1_000


def test_a_call_that_gets_faster_late_is_called_until_it_stays_so(clock: Clock) -> None:
    compiling = chain([85_000_000] * 2, [2_000] * 18, repeat(1_000))
    assert warm_up(clock.call(compiling), cap_s=3) == 1_000


def test_a_call_as_long_as_the_cap_is_still_made_three_times(clock: Clock) -> None:
    assert warm_up(clock.call(5_000_000_000), cap_s=3) == 5_000_000_000
    assert clock.ns == 3 * 5_000_000_000


def test_a_long_call_is_warm_after_three(clock: Clock) -> None:
    assert warm_up(clock.call(100_000_000), cap_s=3) == 100_000_000
    assert clock.ns == 3 * 100_000_000


def test_warm_up_ends_at_the_cap(clock: Clock) -> None:
    ever_faster = (int(200_000_000 * 0.95**n) for n in range(100))
    warm_up(clock.call(ever_faster), cap_s=2)
    assert 2_000_000_000 <= clock.ns < 2_200_000_000
