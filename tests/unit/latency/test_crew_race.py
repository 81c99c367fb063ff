from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from benchmarks.crews.cell import CELLS
from benchmarks.crews.simulate import simulated_race
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.measure.latency.crew import Crew, Crews
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_look import looks_within
from pytest_cpuaccel.measure.latency.crew_race import race_crews
from pytest_cpuaccel.measure.latency.turn import Burst, Turn
from tests.unit.latency.clock import Clock

LIMIT = 1.05


@dataclass
class Process:
    """A side whose turns are drawn about ``ns`` by the wall clock and ``cpu_ns`` by CPU time."""

    ns: float
    cpu_ns: float | None = None
    noise: float = 0.005
    queued: bool = True
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    warmed: int = 0
    settled: int = 0
    turns: int = 0

    def call_ns(self) -> float:
        return self.ns

    def warm_up(self, cap_s: float) -> float:
        del cap_s
        self.warmed += 1
        return self.ns

    def settle(self, burst: Burst) -> None:
        del burst
        self.settled += 1

    def take_turn(self, burst: Burst) -> Turn:
        self.turns += 1
        wall_ns = self.ns * math.exp(self.draw.gauss(0, self.noise))
        cpu_ns = (self.cpu_ns or self.ns) * math.exp(self.draw.gauss(0, 0.002))
        return Turn((wall_ns,) * burst.timed, cpu_ns, max(0.0, wall_ns - cpu_ns) * self.queued, 0)

    def threads_used(self, told: int) -> int:
        return told


class Grow:
    """Makes crews of processes, and remembers the sizes it was asked for."""

    def __init__(self, candidate: Callable[[int], Process], reference: Callable[[int], Process]) -> None:
        self.made = candidate, reference
        self.crews: tuple[list[Process], list[Process]] = ([], [])
        self.asked: list[int] = []

    def __call__(self, size: int) -> Crews:
        self.asked.append(size)
        for make, crew in zip(self.made, self.crews, strict=True):
            for place in range(len(crew), size):
                crew.append(make(place))
                crew[-1].draw = random.Random(1000 * place + len(self.asked) + (crew is self.crews[0]))
        return Crews(*(Crew(tuple(crew)) for crew in self.crews))


def alike(candidate_ns: float, reference_ns: float = 1e6, **more: float) -> Grow:
    return Grow(lambda _: Process(candidate_ns, **more), lambda _: Process(reference_ns, **more))


def raced(grow: Grow, limit: float | None = LIMIT, **config: object) -> CrewRaceMeasurement:
    return race_crews(grow, limit=limit, config=CrewRaceConfig(**config))


def test_equal_environments_pass_with_four_processes_a_side() -> None:
    grow = alike(1e6)
    found = raced(grow)
    assert (found.shown, found.processes, found.sweeps, grow.asked) == (Shown.BELOW, 4, 20, [4])
    assert found.ratio == pytest.approx(1.0, abs=0.003)
    assert found.interval[0] < 1 < found.interval[1] < LIMIT
    assert len(found.candidate_levels) == len(found.reference_levels) == 4
    assert (found.p50_ns, found.reference_p50_ns) == pytest.approx((1e6, 1e6), rel=0.01)
    assert found.reason == "4 processes a side in 20 sweeps were below 1.05"


def test_a_slowdown_of_every_process_fails_with_four_a_side() -> None:
    found = raced(alike(1.2e6))
    assert (found.shown, found.processes) == (Shown.ABOVE, 4)
    assert LIMIT < found.interval[0] < found.ratio < found.interval[1]


def test_a_fail_that_not_every_process_shows_needs_six_a_side() -> None:
    grow = Grow(lambda place: Process(1.045e6 if place == 0 else 1.2e6, noise=0.0), lambda _: Process(1e6, noise=0.0))
    found = raced(grow, alpha_above=0.2)
    assert (found.shown, found.processes, grow.asked) == (Shown.ABOVE, 6, [4, 6])


def test_where_no_more_than_four_may_start_such_a_race_is_open() -> None:
    grow = Grow(lambda place: Process(1.045e6 if place == 0 else 1.2e6, noise=0.0), lambda _: Process(1e6, noise=0.0))
    found = raced(grow, alpha_above=0.2, most_processes=5)
    assert (found.shown, found.processes, grow.asked) == (Shown.OPEN, 4, [4])
    assert found.reason == ("4 processes a side were above 1.05 together but not each by itself; a FAIL then needs 6")


def test_one_process_that_is_off_fails_nobody() -> None:
    found = raced(Grow(lambda place: Process(1.09e6 if place == 0 else 1e6), lambda _: Process(1e6)))
    assert found.shown is Shown.BELOW
    assert found.processes > 4


def test_processes_are_started_while_the_ratio_is_not_told_from_the_limit() -> None:
    grow = alike(1.05e6)
    found = raced(grow)
    assert (found.shown, found.processes, found.sweeps, grow.asked) == (Shown.OPEN, 12, 80, [4, 6, 8, 12])
    assert found.interval[0] < LIMIT < found.interval[1]
    assert "12 processes a side" in found.reason
    assert "did not tell the ratio 1.05" in found.reason


def test_every_process_is_warmed_up_once_and_settles_before_each_turn() -> None:
    grow = alike(1.05e6)
    raced(grow)
    for crew in grow.crews:
        assert [process.warmed for process in crew] == [1] * 12
        assert [process.settled for process in crew] == [80] * 4 + [60] * 2 + [40] * 2 + [20] * 4
        probed = [process.turns - process.settled for process in crew]
        assert probed == [1] * 4 + [0] * 8


def test_the_order_of_processes_in_a_crew_is_nothing() -> None:
    levels_ns = (1e6, 1.005e6, 0.99e6, 0.985e6)
    found = [
        raced(Grow(lambda place, ns=ns: Process(ns[place % 4], noise=0.0), lambda _: Process(1e6, noise=0.0)))
        for ns in (levels_ns, levels_ns[::-1])
    ]
    # Who met whom is drawn, and a level is a median of those met.
    assert found[0].ratio == pytest.approx(found[1].ratio, abs=0.003)
    assert found[0].shown is found[1].shown is Shown.BELOW


def test_a_race_is_repeated_by_its_seed() -> None:
    first, second = (raced(alike(1.05e6), seed=7) for _ in range(2))
    assert first.candidate_levels == second.candidate_levels
    assert first.seed == 7


def test_without_a_limit_the_ratio_is_estimated_once() -> None:
    grow = alike(1.05e6)
    found = raced(grow, limit=None)
    assert (found.shown, found.processes, grow.asked) == (None, 4, [4])
    assert found.interval[0] < 1.05 < found.interval[1]
    assert found.reason == "estimated from 20 sweeps"


# Broken readings


class Broken(Process):
    def take_turn(self, burst: Burst) -> Turn:
        return Turn((math.nan,) * burst.timed, 0.0, 0.0, 0)


def test_a_process_whose_times_cannot_be_read_ends_the_race() -> None:
    grow = Grow(lambda place: Broken(1e6) if place == 2 else Process(1e6), lambda _: Process(1e6))
    found = raced(grow)
    assert (found.shown, found.interval, grow.asked) == (Shown.OPEN, (0.0, math.inf), [4])
    assert found.reason == "process 3 of the candidate gave only 0 times that can be read; a verdict needs 5"


def test_where_no_time_can_be_read_nothing_is_known() -> None:
    found = raced(Grow(lambda _: Broken(1e6), lambda _: Process(1e6)))
    assert (found.shown, found.ratio, found.p50_ns, found.cpu_ratio, found.estimate) == (Shown.OPEN, *[None] * 4)


def test_a_few_readings_that_are_no_times_are_left_out() -> None:
    class Sometimes(Process):
        def take_turn(self, burst: Burst) -> Turn:
            turn = super().take_turn(burst)
            return Turn((0.0,), 0.0, 0.0, 0) if self.turns % 4 == 0 else turn

    found = raced(Grow(lambda _: Sometimes(1e6), lambda _: Process(1e6)))
    assert found.shown is Shown.BELOW
    assert found.ratio == pytest.approx(1.0, abs=0.01)


# Time


def timed(clock: Clock, candidate_ns: float, reference_ns: float) -> Grow:
    """Processes whose turns move a clock forward."""

    class Timed(Process):
        def take_turn(self, burst: Burst) -> Turn:
            clock.ns += int(self.ns * (burst.discarded + burst.timed) * burst.batch)
            return super().take_turn(burst)

    return Grow(lambda _: Timed(candidate_ns), lambda _: Timed(reference_ns))


def test_no_process_is_started_for_a_look_that_does_not_fit(clock: Clock) -> None:
    grow = timed(clock, 1.05e6, 1e6)  # a look of four takes 2.1 s, one of six 3.2 s and at the least 0.8 s
    found = raced(grow, cap_s=2.5)
    assert (found.shown, found.processes, found.sweeps, grow.asked) == (Shown.OPEN, 4, 20, [4])
    assert re.fullmatch(
        r"4 processes a side in 2\.1\d s did not tell the ratio 1\.0\d+ from the limit 1\.05", found.reason
    )


def test_the_cap_ends_a_look_which_then_tells_what_it_has(clock: Clock) -> None:
    found = raced(timed(clock, 1.05e6, 1e6), cap_s=3.5)
    assert (found.shown, found.processes) == (Shown.OPEN, 6)
    assert 20 + 5 <= found.sweeps < 40
    assert 3.5 <= found.seconds < 3.6
    assert found.interval[0] < LIMIT < found.interval[1]
    assert raced(timed(clock, 1.2e6, 1e6), cap_s=1.0).shown is Shown.ABOVE


def test_progress_is_told_about_once_a_second(clock: Clock) -> None:
    lines: list[str] = []
    raced(timed(clock, 1.05e6, 1e6), progress=lines.append, cap_s=2.5)
    assert lines == ["38 pairs by 4 processes a side in 1 s", "76 pairs by 4 processes a side in 2 s"]


def test_calls_too_slow_for_a_level_of_each_process_are_not_raced() -> None:
    found = raced(alike(10e9, 10e9))
    assert (found.shown, found.ratio, found.sweeps) == (Shown.OPEN, None, 0)
    assert found.reason == ("one call took 10.0 s; 5 sweeps of 4 processes a side take 800 s, and 60.0 s are allowed")


def test_fewer_processes_than_a_look_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^3 processes a side; a race of environments needs 4$"):
        raced(alike(1e6), most_processes=3)


def test_the_last_look_that_may_be_taken_has_what_the_others_leave() -> None:
    assert [sum(look.share for look in looks_within(most)) for most in (4, 7, 8, 20)] == pytest.approx([1.0] * 4)


# CPU time


def test_cpu_time_settles_long_calls_where_the_wall_clock_is_noisy() -> None:
    found = raced(alike(20e6, 20e6, noise=0.17))
    assert found.shown is Shown.BELOW
    assert found.reason.endswith("by CPU time, which the wall clock does not contradict")
    assert found.cpu_ratio == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("queued", [True, False])
def test_what_the_wall_clock_contradicts_is_not_settled_by_cpu_time(queued: bool) -> None:
    grow = Grow(
        lambda _: Process(1.2 * 20e6, cpu_ns=20e6, noise=0.02, queued=queued), lambda _: Process(20e6, noise=0.02)
    )
    found = raced(grow)
    assert found.shown is Shown.ABOVE
    assert found.cpu_ratio == pytest.approx(1.0, abs=0.01)


def test_cpu_time_is_not_asked_of_several_threads() -> None:
    found = raced(alike(20e6, 20e6, noise=0.17), threads=2)
    assert found.cpu_ratio is None
    assert "CPU time" not in found.reason


@pytest.mark.parametrize(("noise", "asked"), [(0.04, False), (0.17, True)])
def test_cpu_time_is_asked_of_short_calls_only_on_a_crowded_machine(noise: float, asked: bool) -> None:
    found = raced(alike(1e6, 1e6, noise=noise))
    assert (found.queued_share >= 0.05) is asked
    assert ("CPU time" in found.reason) is asked


def test_calls_that_wait_of_their_own_accord_are_not_measured_by_cpu_time() -> None:
    grow = Grow(
        lambda _: Process(20e6, cpu_ns=10e6, noise=0.17, queued=False),
        lambda _: Process(20e6, cpu_ns=10e6, noise=0.17, queued=False),
    )
    assert "CPU time" not in raced(grow).reason


def test_the_interval_lies_on_the_side_that_was_shown_and_holds_the_ratio() -> None:
    for ratio in (0.8, 1.0, 1.04, 1.06, 1.2):
        found = raced(alike(ratio * 20e6, 20e6, noise=0.1))
        assert found.interval[0] <= found.ratio <= found.interval[1]
        sides = {Shown.ABOVE: found.interval[0] > LIMIT, Shown.BELOW: found.interval[1] < LIMIT, Shown.OPEN: True}
        assert sides[found.shown]


# Rates


def cell(name: str) -> int:
    return next(place for place, cell in enumerate(CELLS) if cell.name == name)


@pytest.mark.parametrize(
    ("name", "races"),
    [("sd 1 %", 30), ("one process in a hundred 8.8 % off", 20), ("sd 0.5 %, pairs of 24 %, long calls", 20)],
)
def test_simulated_races_are_seldom_wrong(name: str, races: int) -> None:
    equal = [simulated_race(cell(name), 1.0, seed) for seed in range(races)]
    slower = [simulated_race(cell(name), 1.1, seed) for seed in range(races)]
    assert not shown(equal, Shown.ABOVE)
    assert not shown(slower, Shown.BELOW)
    assert shown(equal, Shown.BELOW) >= 0.9 * races
    assert shown(slower, Shown.ABOVE) >= 0.9 * races
    assert sum(race.interval[0] <= 1.1 <= race.interval[1] for race in slower) >= 0.93 * races


def test_a_ratio_at_the_limit_seldom_fails_or_passes() -> None:
    races = [simulated_race(cell("sd 2 %"), LIMIT, seed) for seed in range(12)]
    assert shown(races, Shown.ABOVE) <= 1
    assert shown(races, Shown.BELOW) <= 1


def shown(races: Sequence[CrewRaceMeasurement], side: Shown) -> int:
    return sum(race.shown is side for race in races)
