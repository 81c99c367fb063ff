"""Races of real processes: equal ones, and ones of which a side does extra work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from benchmarks.crews.calls import CALLS
from benchmarks.crews.child import ChildSide, Subject
from benchmarks.crews.tally import LIMIT, Tally
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.judge.crew_race import judge_crews
from pytest_cpuaccel.measure.latency.crew import Crew, Crews
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_race import race_crews

AT_ONCE = 2
"""Processes that start at the same time."""


def race_live(races: int, threads: int, names: Sequence[str] | None, say: Callable[[str], None]) -> Iterator[Tally]:
    """Yield, for each call, a tally of equal processes and one of slowed-down candidates, with fresh ones each race."""
    for name in names or CALLS:
        rounds, share = _calibrated(Subject(name, 0, threads))
        say(f"{name}: {rounds} rounds of work add {100 * share:.1f} %")
        for extra, truth in ((0, 1.0), (rounds, 1 + share)):
            subjects = Subject(name, extra, threads), Subject(name, 0, threads)
            found = []
            for seed in range(races):
                found.append(_race(subjects, seed))
                judged = judge_crews(found[-1], LIMIT, "itself")
                say(f"{name}, {truth:.3f}: {judged.outcome.value}: {judged.sentence} ({judged.evidence})")
            yield Tally(f"{name}, {threads} thread{'s' * (threads > 1)}", truth, found)


def _calibrated(subject: Subject) -> tuple[int, float]:
    with ExitStack() as ending:
        child = ChildSide(subject)
        ending.callback(child.end)
        return child.calibrated()


def _race(subjects: tuple[Subject, Subject], seed: int) -> CrewRaceMeasurement:
    with ExitStack() as ending:
        alive: tuple[list[ChildSide], list[ChildSide]] = ([], [])

        def grow(size: int) -> Crews:
            wanted = [(crew, subject) for crew, subject in zip(alive, subjects, strict=True)] * (size - len(alive[0]))
            for first in range(0, len(wanted), AT_ONCE):
                started = [(crew, ChildSide(subject)) for crew, subject in wanted[first : first + AT_ONCE]]
                for crew, child in started:
                    ending.callback(child.end)
                    crew.append(child)
                    child.call_ns()
            return Crews(*(Crew(tuple(crew)) for crew in alive))

        config = CrewRaceConfig(threads=subjects[0].threads, seed=seed)
        return race_crews(grow, limit=LIMIT, config=config)
