"""A race of two environments: the latency of one call, by several processes of each, against a limit."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import exp, inf
from time import perf_counter_ns

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.measure.latency.bounds import MOST_WAITING
from pytest_cpuaccel.measure.latency.crew import Crews
from pytest_cpuaccel.measure.latency.crew_config import CrewRaceConfig
from pytest_cpuaccel.measure.latency.crew_look import ESTIMATE, FEWEST_TO_BE_ABOVE, Look, looks_within
from pytest_cpuaccel.measure.latency.crew_plan import LEAST_MEETINGS, Plan, fastest_ns, plan_for
from pytest_cpuaccel.measure.latency.crew_rule import Arms, Risk
from pytest_cpuaccel.measure.latency.levels import Levels
from pytest_cpuaccel.measure.latency.meeting import Meeting, take_meetings
from pytest_cpuaccel.measure.latency.quantile import MEDIAN, quantile
from pytest_cpuaccel.measure.latency.readings import Fewest, cpu, is_readable, readings, wall
from pytest_cpuaccel.measure.latency.turn import LONG_CALL_NS, Turn
from pytest_cpuaccel.measure.latency.undisturbed import attended
from pytest_cpuaccel.measure.latency.waiting import off_cpu_share, queued_share

CROWDED = 0.05
"""Calls that wait for a processor for this share of their time are judged by CPU time too, however short they are."""


def race_crews(grow: Callable[[int], Crews], *, limit: float | None, config: CrewRaceConfig) -> CrewRaceMeasurement:
    """Tell latency(candidate) / latency(reference) from ``limit``; with ``None``, only estimate it.

    ``grow(n)`` returns both crews with ``n`` processes each, the first ones unchanged. It is called with 4, and with 6,
    8 and 12 while the ratio is not told from the limit, and starts processes while nothing is timed.

    Raises:
        ValueError: ``config`` allows fewer than 4 processes a side.
    """
    planned = looks_within(config.most_processes)
    looks = (ESTIMATE,) if limit is None else planned
    race = _Race(config)
    for look in looks:
        race.take(grow(look.processes), look)
        following = looks[looks.index(look) + 1 :]
        if race.is_over(limit) or not following or not race.has_time_for(following[0]):
            break
    return _measurement(race, limit)


class _Race:
    """What has been taken so far, and what it shows."""

    def __init__(self, config: CrewRaceConfig) -> None:
        self.config = config
        self.look = ESTIMATE
        self.plan: Plan | None = None
        self.sweeps = 0
        self.meetings: list[Meeting] = []
        self.findings = _Findings(0)
        self.warming_s = self.timed_s = 0.0
        self._draw = random.Random(config.seed)

    @property
    def risk(self) -> Risk:
        """What the look may spend."""
        return Risk(self.config.alpha_above * self.look.share, self.config.alpha_below * self.look.share)

    def take(self, crews: Crews, look: Look) -> None:
        """Warm the newcomers up, then take the meetings of a look, as far as the time allows."""
        plan = self.plan = self._warmed_up(crews)
        self.look = look
        if self.has_time_for(look):
            self._meet(crews, plan)
        self.findings = _findings(self.meetings, crews.size, self._trusts_cpu_time(plan.call_ns))

    def has_time_for(self, look: Look) -> bool:
        """Tell whether each process of a look could have a level."""
        return self.plan is not None and self.plan.least_s(look.processes) <= self.config.cap_s - self.timed_s

    def is_over(self, limit: float | None) -> bool:
        """Tell whether another look would tell no more."""
        if limit is None or self.findings.arms is None:
            return True
        return self.findings.arms.shown(limit, self.risk) is not Shown.OPEN

    def _warmed_up(self, crews: Crews) -> Plan:
        started_ns = perf_counter_ns()
        warm_ns = [side.warm_up(self.config.warmup_cap_s) for side in crews.joined_after(self.findings.processes)]
        plan = self.plan or plan_for(
            fastest_ns(crews.candidate, warm_ns[::2]), fastest_ns(crews.reference, warm_ns[1::2])
        )
        self.warming_s += (perf_counter_ns() - started_ns) / 1e9
        return plan

    def _meet(self, crews: Crews, plan: Plan) -> None:
        left_s, elapsed_s = self.config.cap_s - self.timed_s, 0.0
        wanted = islice(take_meetings(crews, plan.burst, self._draw), plan.sweeps * crews.size)
        for meeting in attended(wanted, f"pairs by {crews.size} processes a side", self.config.progress):
            self.sweeps += meeting.candidate == 0
            if is_readable(meeting.pair):
                self.meetings.append(meeting)
            elapsed_s = meeting.elapsed_s
            if elapsed_s >= left_s:
                break
        self.timed_s += elapsed_s

    def _trusts_cpu_time(self, call_ns: float) -> bool:
        """Tell whether CPU time may stand for latency, and would tell more than the wall clock."""
        pairs = [meeting.pair for meeting in self.meetings]
        if self.config.threads > 1 or not pairs or off_cpu_share(pairs) >= MOST_WAITING:
            return False
        return call_ns >= LONG_CALL_NS or queued_share(pairs) >= CROWDED


@dataclass(frozen=True)
class _Findings:
    """What the meetings of so many processes a side tell.

    ``arms`` is None where a process has no level, and ``levels`` where none has.
    """

    processes: int
    levels: Levels | None = None
    fewest: Fewest | None = None
    arms: Arms | None = None


def _findings(meetings: Sequence[Meeting], processes: int, trusts_cpu_time: bool) -> _Findings:
    by_wall = readings(meetings, processes, wall)
    levels = by_wall.levels()
    if levels is None or by_wall.fewest.count < LEAST_MEETINGS:
        return _Findings(processes, levels, by_wall.fewest)
    cpu_levels = None
    if trusts_cpu_time:
        by_cpu = readings(meetings, processes, cpu)
        cpu_levels = by_cpu.levels() if by_cpu.fewest.count >= LEAST_MEETINGS else None
    return _Findings(processes, levels, by_wall.fewest, Arms(levels, cpu_levels))


def _measurement(race: _Race, limit: float | None) -> CrewRaceMeasurement:
    found, pairs = race.findings, [meeting.pair for meeting in race.meetings]
    levels = found.levels or Levels((), ())
    shown = None
    if limit is not None:
        shown = Shown.OPEN if found.arms is None else found.arms.shown(limit, race.risk)
    return CrewRaceMeasurement(
        ratio=exp(levels.log_ratio) if found.levels else None,
        interval=found.arms.interval(race.risk) if found.arms else (0.0, inf),
        candidate_levels=levels.candidates,
        reference_levels=levels.references,
        processes=found.processes,
        sweeps=race.sweeps,
        seconds=race.warming_s + race.timed_s,
        p50_ns=_p50_ns([pair.candidate for pair in pairs]),
        reference_p50_ns=_p50_ns([pair.reference for pair in pairs]),
        cpu_ratio=_cpu_ratio(race),
        queued_share=queued_share(pairs) if pairs else 0.0,
        threads=race.config.threads,
        seed=race.config.seed,
        shown=shown,
        reason=f"estimated from {race.sweeps} sweeps" if limit is None and found.arms else _reason(race, limit),
    )


def _reason(race: _Race, limit: float | None) -> str:
    found = race.findings
    taken = f"{found.processes} processes a side in {race.sweeps} sweeps"
    if found.arms is None:
        return _obstacle(race)
    assert limit is not None
    shown = found.arms.shown(limit, race.risk)
    if shown is Shown.OPEN:
        return _undecided(race, found.arms, limit)
    clock = "by CPU time, which the wall clock does not contradict" if found.arms.by_cpu(limit, race.risk) else ""
    return " ".join(filter(None, (f"{taken} were {shown.value} {limit:.4g}", clock)))


def _obstacle(race: _Race) -> str:
    """Why there are no levels."""
    found = race.findings
    if not race.timed_s and race.plan is not None:
        return (
            f"one call took {format_duration(race.plan.call_ns)}; {LEAST_MEETINGS} sweeps of {found.processes} "
            f"processes a side take {format_duration(race.plan.least_s(found.processes) * 1e9)}, and "
            f"{format_duration(race.config.cap_s * 1e9)} are allowed"
        )
    assert found.fewest is not None
    few = f"process {found.fewest.place} of the {found.fewest.crew} gave only {found.fewest.count} times"
    allowed = f" in the {race.config.cap_s:g} s allowed" if race.timed_s >= race.config.cap_s else " that can be read"
    return f"{few}{allowed}; a verdict needs {LEAST_MEETINGS}"


def _undecided(race: _Race, arms: Arms, limit: float) -> str:
    if arms.interval(race.risk)[0] > limit:
        return (
            f"{arms.wall.size} processes a side were above {limit:.4g} together but not each by itself; a FAIL then "
            f"needs {FEWEST_TO_BE_ABOVE}"
        )
    ratio = exp(arms.wall.log_ratio)
    return (
        f"{arms.wall.size} processes a side in {race.timed_s:.3g} s did not tell the ratio {ratio:.3f} from the limit "
        f"{limit:.4g}"
    )


def _p50_ns(turns: Sequence[Turn]) -> float | None:
    times_ns = [ns for turn in turns for ns in turn.calls_ns]
    return quantile(times_ns, MEDIAN) if times_ns else None


def _cpu_ratio(race: _Race) -> float | None:
    levels = readings(race.meetings, race.findings.processes, cpu).levels()
    return exp(levels.log_ratio) if levels and race.config.threads == 1 else None
