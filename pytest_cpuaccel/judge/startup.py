"""The verdict on starting: how long a fresh process took to a first answer, and to a build.

PASS needs one attempt that keeps the budget. FAIL needs that no attempt keeps it, even without the fastest one's time
in the run queue, while a probe shows that the machine ran at its usual speed.
"""

from __future__ import annotations

from pytest_cpuaccel.core.budget import StartupBudget
from pytest_cpuaccel.core.measurement.startup import Starts, StartupMeasurement
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.partial_verdict import PartialVerdict, allowed, verdict


def judge_startup(measurement: StartupMeasurement, budget: StartupBudget, about: str) -> Verdict:
    """Return the verdict on a cold start and on a build, the worse of the two; ``about`` says of what."""
    parts = []
    if measurement.cold_start is not None and budget.cold_start_ns is not None:
        parts.append(_part("cold start", measurement.cold_start, budget.cold_start_ns))
    if measurement.build is not None and budget.build_ns is not None:
        parts.append(_part("build", measurement.build, budget.build_ns))
    return verdict("startup", parts, measurement, about)


def _part(name: str, starts: Starts, budget_ns: float) -> PartialVerdict:
    outcome, reason = _decided(starts, budget_ns)
    stages = ", ".join(f"{stage.name} {format_duration(stage.ns)}" for stage in starts.best.stages)
    return PartialVerdict(
        outcome,
        f"{name} took {format_duration(starts.best.ns)}, {allowed(budget_ns, format_duration)} ({reason})",
        f"of the {name}: {stages}",
    )


def _decided(starts: Starts, budget_ns: float) -> tuple[Outcome, str]:
    """The outcome, and how it follows from the attempts."""
    if starts.best.ns <= budget_ns:
        return Outcome.PASS, f"attempt {starts.attempts.index(starts.best) + 1} kept it"
    unqueued_ns = min(attempt.ns - (attempt.queued_ns or 0) for attempt in starts.attempts)
    if unqueued_ns <= budget_ns:
        return Outcome.INCONCLUSIVE, f"but {format_duration(unqueued_ns)} without waiting for a processor"
    if not any(attempt.undisturbed for attempt in starts.attempts):
        slowdown = min(attempt.slowdown or 1.0 for attempt in starts.attempts)
        return Outcome.INCONCLUSIVE, f"but the machine was not itself: a probe took {slowdown:.2f} times its best"
    return Outcome.FAIL, f"the fastest of {len(starts.attempts)} fresh processes"
