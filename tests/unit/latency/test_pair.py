from __future__ import annotations

from itertools import islice

from pytest_cpuaccel.measure.latency.pair import take_pairs
from pytest_cpuaccel.measure.latency.side import Sides, local_sides
from pytest_cpuaccel.measure.latency.turn import Burst
from tests.unit.latency.clock import Clock

SINGLE = Burst(discarded=0, timed=1, batch=1)


def observed(clock: Clock) -> tuple[Sides, list[str]]:
    """Sides of calls that take 1 ns, and the names of all that were made, which grow."""
    called: list[str] = []

    def call(name: str) -> None:
        called.append(name)
        clock.ns += 1
        clock.cpu_ns += 1

    return local_sides(lambda: call("candidate"), lambda: call("reference")), called


def orders(clock: Clock, seed: int, count: int = 200) -> list[bool]:
    sides, called = observed(clock)
    pairs = list(islice(take_pairs(sides, SINGLE, seed), count))
    firsts = [name == "candidate" for name in called[::2]]
    assert firsts == [pair.candidate_first for pair in pairs]
    return firsts


def test_either_side_goes_first_about_as_often(clock: Clock) -> None:
    assert 80 <= sum(orders(clock, seed=0)) <= 120


def test_the_order_follows_from_the_seed(clock: Clock) -> None:
    assert orders(clock, seed=7) == orders(clock, seed=7)
    assert orders(clock, seed=7) != orders(clock, seed=8)


def test_a_pair_says_how_much_longer_the_candidate_takes_whoever_was_first(clock: Clock) -> None:
    sides = local_sides(clock.call(3_000_000), clock.call(2_000_000))
    pairs = list(islice(take_pairs(sides, SINGLE, seed=0), 20))
    assert {pair.candidate_first for pair in pairs} == {True, False}
    assert {pair.ratio for pair in pairs} == {1.5}
    assert {pair.cpu_ratio for pair in pairs} == {1.5}
    assert pairs[-1].elapsed_s == 20 * 0.005


def test_a_side_settles_after_the_other_and_not_after_itself(clock: Clock) -> None:
    sides, called = observed(clock)
    pairs = list(islice(take_pairs(sides, Burst(discarded=3, timed=2, batch=1), seed=0), 50))
    turns = [name for pair in pairs for name in ("candidate", "reference")[:: 1 if pair.candidate_first else -1]]
    calls = [2 if name == before else 5 for before, name in zip([None, *turns], turns, strict=False)]
    assert set(calls[::2]) == {2, 5}
    assert called == [name for name, count in zip(turns, calls, strict=True) for _ in range(count)]
