"""The verdict on a race of two environments."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.latency import outcome_of
from pytest_cpuaccel.judge.noise import MUCH_QUEUED
from pytest_cpuaccel.judge.partial_verdict import PartialVerdict


def judge_crews(found: CrewRaceMeasurement, limit: float | None, versus: str) -> PartialVerdict:
    """Return the answer to a limit of latency over that in the environment ``versus``; with None, what was found."""
    if found.estimate is None:
        return PartialVerdict(Outcome.INCONCLUSIVE, f"not told from {versus}: {found.reason}")
    allowed = "no limit" if limit is None else f"limit {limit:.4g}x"
    interval = found.estimate.interval(limit)
    outcome = Outcome.PASS if limit is None else outcome_of(found.shown or Shown.OPEN)
    if outcome is Outcome.INCONCLUSIVE and found.reason:
        ending = (found.reason, *_circumstances(found))
    else:
        ending = (f"{found.processes} processes a side, {found.seconds:.2g} s",)
    sentence = f"{found.estimate.value:.2f}x as long as with {versus} {interval}, {allowed}"
    return PartialVerdict(outcome, "; ".join((sentence, *ending)), _evidence(found))


def _circumstances(found: CrewRaceMeasurement) -> Iterator[str]:
    share = min(1.0, found.queued_share)  # the queue is counted between calls too
    if share > MUCH_QUEUED:
        yield f"calls waited for a processor {100 * share:.2g} % of their time"


def _evidence(found: CrewRaceMeasurement) -> str:
    """Both medians, CPU time, and how far processes differ."""
    parts = []
    if found.p50_ns is not None and found.reference_p50_ns is not None:
        parts.append(f"p50 {format_duration(found.p50_ns)} against {format_duration(found.reference_p50_ns)}")
    if found.cpu_ratio is not None:
        parts.append(f"CPU time {found.cpu_ratio:.2f}x")
    if found.spread is not None:
        parts.append("processes by themselves {:.2f}x to {:.2f}x".format(*found.spread))
    return ", ".join(parts)
