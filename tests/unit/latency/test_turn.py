from __future__ import annotations

from itertools import chain, repeat

import pytest

from pytest_cpuaccel.measure.latency.turn import Burst, burst_for, settle, take_turn
from tests.unit.latency.clock import Clock


@pytest.mark.parametrize(
    ("call_ns", "burst"),
    [
        (200_000_000, Burst(discarded=0, timed=1, batch=1)),
        (5_000_000, Burst(discarded=0, timed=1, batch=1)),
        (4_900_000, Burst(discarded=2, timed=5, batch=1)),
        (1_600_000, Burst(discarded=5, timed=5, batch=1)),
        (900_000, Burst(discarded=8, timed=5, batch=1)),
        (20_000, Burst(discarded=8, timed=5, batch=1)),
        (6_000, Burst(discarded=8, timed=5, batch=4)),
    ],
)
def test_a_burst_fits_the_length_of_the_call(call_ns: int, burst: Burst) -> None:
    assert burst_for(call_ns) == burst


def test_the_first_calls_of_a_burst_are_not_counted(clock: Clock) -> None:
    call, burst = clock.call(chain([900, 300], repeat(100))), Burst(discarded=2, timed=5, batch=1)
    settle(call, burst)
    turn = take_turn(call, burst)
    assert turn.calls_ns == (100,) * 5
    assert turn.cpu_ns == 100


def test_one_slow_call_does_not_move_a_turn(clock: Clock) -> None:
    turn = take_turn(clock.call(iter([100, 101, 5000, 99, 100])), Burst(discarded=0, timed=5, batch=1))
    assert turn.wall_ns == 100


def test_batched_calls_are_counted_one_by_one(clock: Clock) -> None:
    call, burst = clock.call(10), Burst(discarded=1, timed=5, batch=4)
    settle(call, burst)
    assert clock.ns == 4 * 10
    turn = take_turn(call, burst)
    assert clock.ns == 6 * 4 * 10
    assert turn.calls_ns == (10,) * 5
    assert turn.cpu_ns == 10


def test_a_turn_knows_how_often_and_how_long_it_was_preempted(clock: Clock) -> None:
    def preempted() -> None:
        clock.ns += 10
        clock.cpu_ns += 3
        clock.queued_ns += 7
        clock.switches += 2

    turn = take_turn(preempted, Burst(discarded=1, timed=5, batch=1))
    assert turn.switches == 10
    assert (turn.mean_ns, turn.cpu_ns, turn.queued_ns) == (10, 3, 7)
