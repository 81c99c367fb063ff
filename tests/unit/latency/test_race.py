from __future__ import annotations

import gc
import json
import math
import random
import re
from collections.abc import Callable, Iterator

import pytest

from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.measure.latency.side import LocalSide, Sides, local_sides
from pytest_cpuaccel.measure.latency.turn import Burst, Turn
from pytest_cpuaccel.report.facts.race import flat
from tests.unit.latency.clock import Clock

LIMIT = 1.05


@pytest.fixture
def build(clock: Clock) -> Callable[[float], Sides]:
    """Return sides of which the candidate takes this many times the reference's 1 ms, give or take 2 %."""

    draws = random.Random(1), random.Random(2)
    return lambda ratio: local_sides(
        *(clock.call(_around(ns, 0.02, draw)) for ns, draw in zip((ratio * 1e6, 1e6), draws, strict=True))
    )


def _around(ns: float, noise: float, draw: random.Random) -> Iterator[int]:
    while True:
        yield round(ns * draw.lognormvariate(0, noise))


def never() -> Sides:
    raise AssertionError("there was nothing to confirm")


def test_a_slowdown_that_a_fresh_build_repeats_is_a_confirmed_fail(build) -> None:
    result = race(build(1.10), limit=LIMIT, rebuild=lambda: build(1.12), config=RaceConfig())
    assert result.shown is Shown.ABOVE
    assert result.confirmed is True
    assert 1.10 < result.ratio < 1.12


def test_a_fail_needs_less_of_the_fresh_build_than_of_the_first(build) -> None:
    result = race(build(1.10), limit=LIMIT, rebuild=lambda: build(1.10), config=RaceConfig(min_s=0.0))
    assert result.shown is Shown.ABOVE
    assert 10 + 6 <= result.pairs < 2 * 10


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_a_ratio_at_the_limit_fails_no_more_often_than_stated(clock: Clock, noise: float) -> None:
    draw = random.Random(0)

    def sides() -> Sides:
        return local_sides(*(clock.call(_around(ratio * 1e6, noise, draw)) for ratio in (LIMIT, 1.0)))

    outcomes = [race(sides(), limit=LIMIT, rebuild=sides, config=RaceConfig(cap_s=1.0)).shown for _ in range(60)]
    assert outcomes.count(Shown.ABOVE) <= 1


def test_a_slowdown_that_a_fresh_build_does_not_show_is_inconclusive(build) -> None:
    result = race(build(1.10), limit=LIMIT, rebuild=lambda: build(1.0), config=RaceConfig())
    assert result.shown is Shown.OPEN
    assert result.confirmed is False
    assert re.match(r"slower than allowed at first \(ratio 1\.(09|10)\d\), ", result.reason)
    assert re.search(r"which a fresh build did not confirm \((0\.99|1\.00)\d\)", result.reason)


def test_the_quickest_pass_has_an_interval(clock: Clock) -> None:
    result = race(
        local_sides(clock.call(10**8), clock.call(2 * 10**8)), limit=LIMIT, rebuild=never, config=RaceConfig()
    )
    assert result.shown is Shown.BELOW
    assert result.interval == (0.5, 0.5)


def test_a_pass_is_not_rebuilt(build) -> None:
    result = race(build(1.0), limit=LIMIT, rebuild=never, config=RaceConfig())
    assert result.shown is Shown.BELOW
    assert result.confirmed is None


def test_without_a_limit_the_ratio_is_estimated_and_nothing_is_judged(build) -> None:
    result = race(build(0.5), limit=None, rebuild=never, config=RaceConfig())
    assert result.shown is None
    low, high = result.speedup_interval
    assert low < 2 < high
    assert result.speedup == pytest.approx(2, rel=0.01)
    assert result.speedup_interval == (1 / result.interval[1], 1 / result.interval[0])


def test_both_sides_are_timed_in_bursts_of_one_size_even_astride_a_boundary(clock: Clock) -> None:
    turns: list[Turn] = []

    class Watched(LocalSide):
        def take_turn(self, burst: Burst) -> Turn:
            turns.append(super().take_turn(burst))
            return turns[-1]

    sides = Sides(Watched(clock.call(4_900_000)), Watched(clock.call(5_100_000)))
    race(sides, limit=LIMIT, rebuild=never, config=RaceConfig())
    assert {len(turn.calls_ns) for turn in turns} == {5}


def test_facts_are_flat_scalars_that_json_can_carry(build) -> None:
    facts = flat(race(build(1.10), limit=LIMIT, rebuild=lambda: build(1.10), config=RaceConfig(seed=5)))
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["p50_ns"] == pytest.approx(1.1e6, rel=0.02)
    assert facts["reference_p50_ns"] == pytest.approx(1e6, rel=0.02)
    assert facts["reference_p90_ns"] > facts["reference_p50_ns"]
    assert facts["ratio_low"] < facts["ratio"] < facts["ratio_high"]
    assert facts["cpu_ratio"] == pytest.approx(1.1, rel=0.02)
    assert (facts["confirmed"], facts["threads"], facts["seed"]) == (True, 1, 5)


def test_facts_leave_out_an_interval_that_too_few_pairs_could_not_give(clock: Clock) -> None:
    sides = local_sides(clock.call(10**9), clock.call(10**9))
    result = race(sides, limit=None, rebuild=never, config=RaceConfig())
    assert result.interval == (0, math.inf)
    assert result.speedup_interval == (0, math.inf)
    assert "ratio_low" not in flat(result)
    json.dumps(flat(result), allow_nan=False)


def test_the_cpu_ratio_of_several_threads_is_not_given(build) -> None:
    result = race(build(1.0), limit=LIMIT, rebuild=never, config=RaceConfig(threads=2))
    assert result.cpu_ratio is None
    assert "cpu_ratio" not in flat(result)


def test_an_interrupt_comes_through_with_the_collector_on_again(clock: Clock) -> None:
    calls = iter(range(100))

    def interrupted() -> None:
        clock.ns += 1_000_000
        if next(calls) == 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        race(local_sides(interrupted, clock.call(10**6)), limit=LIMIT, rebuild=never, config=RaceConfig())
    assert gc.isenabled()


def test_a_race_that_drags_on_says_how_far_it_is(clock: Clock) -> None:
    told: list[str] = []
    sides = local_sides(clock.call(1_050_000), clock.call(1_000_000))
    result = race(sides, limit=LIMIT, rebuild=never, config=RaceConfig(progress=told.append))
    assert result.shown is Shown.OPEN
    assert len(told) >= 9
    assert told[-1].endswith("pairs in 9 s")
