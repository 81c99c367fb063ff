"""Readings: what each process took over whomever it met, as logarithms of ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite, log
from statistics import median

from pytest_cpuaccel.measure.latency.levels import Levels
from pytest_cpuaccel.measure.latency.meeting import Meeting
from pytest_cpuaccel.measure.latency.pair import Pair
from pytest_cpuaccel.measure.latency.turn import Turn


@dataclass(frozen=True)
class Fewest:
    """How many readings the process has that has the fewest: which crew's, and its place there, from 1 on."""

    count: int
    crew: str
    place: int


@dataclass(frozen=True)
class Readings:
    """For every process the logarithms of its own time over the other's, one of each meeting."""

    candidates: tuple[tuple[float, ...], ...]
    references: tuple[tuple[float, ...], ...]

    @property
    def fewest(self) -> Fewest:
        """The process with the fewest."""
        crews = (("candidate", self.candidates), ("reference", self.references))
        found = (Fewest(len(logs), name, place) for name, crew in crews for place, logs in enumerate(crew, 1))
        return min(found, key=lambda process: process.count)

    def levels(self) -> Levels | None:
        """Return the median of each process that has a reading; None where no process has."""
        crews = (tuple(median(logs) for logs in crew if logs) for crew in (self.candidates, self.references))
        levels = Levels(*crews)
        return levels if levels.candidates else None


def wall(turn: Turn) -> float:
    """Return the wall ns of a turn."""
    return turn.wall_ns


def cpu(turn: Turn) -> float:
    """Return the CPU ns of a turn."""
    return turn.cpu_ns


def readings(meetings: Iterable[Meeting], size: int, clock: Callable[[Turn], float]) -> Readings:
    """Return what ``size`` processes a side took by a clock; a meeting for which it gave no time is left out."""
    candidates: list[list[float]] = [[] for _ in range(size)]
    references: list[list[float]] = [[] for _ in range(size)]
    for meeting in meetings:
        candidate_ns, reference_ns = clock(meeting.pair.candidate), clock(meeting.pair.reference)
        if _is_time(candidate_ns) and _is_time(reference_ns):
            distance = log(candidate_ns / reference_ns)
            candidates[meeting.candidate].append(distance)
            references[meeting.reference].append(-distance)
    return Readings(tuple(map(tuple, candidates)), tuple(map(tuple, references)))


def is_readable(pair: Pair) -> bool:
    """Tell whether each wall time of both turns is a positive, finite number."""
    times_ns = pair.candidate.calls_ns, pair.reference.calls_ns
    return all(turn_ns and all(map(_is_time, turn_ns)) for turn_ns in times_ns)


def _is_time(ns: float) -> bool:
    return isfinite(ns) and ns > 0
