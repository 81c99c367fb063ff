"""The verdict on starting: how long a fresh process takes to a first answer, and to a build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import StartupBudget
from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.isolated_run import dispatched, measured
from pytest_cpuaccel.isolated.process import TIMEOUT_S, run
from pytest_cpuaccel.isolated.report import EXPORT, FIRST_CALL, IMPORTS, LOAD, Stage
from pytest_cpuaccel.judge.partial_verdict import Part
from pytest_cpuaccel.measure.startup import Attempt, hold_seconds, machine_slowdown
from pytest_cpuaccel.recording.workload import Workload

COLD_START = (IMPORTS, LOAD, FIRST_CALL)
BUILD = (EXPORT, LOAD)
"""The stages that each is made of."""


def judge_startup(
    workload: Workload, evaluation: Evaluation, budget: StartupBudget, context: EvaluationContext
) -> Verdict:
    """Return the verdict on a workload's cold start and on the build behind it, the worse of the two."""
    return measured("startup", workload, evaluation, _parts(workload, evaluation, budget, context))


def _parts(
    workload: Workload, evaluation: Evaluation, budget: StartupBudget, context: EvaluationContext
) -> Iterator[Part]:
    with dispatched(workload.sample, evaluation, context) as bundle:
        if budget.cold_start_ns is not None:
            yield _part("cold start", bundle, "start", COLD_START, budget.cold_start_ns, context)
        if budget.build_ns is not None:
            yield _part("build", bundle, "build", BUILD, budget.build_ns, context)


def _part(
    name: str, bundle: Path, task: str, stages: tuple[str, ...], budget_ns: int, context: EvaluationContext
) -> Part:
    counted: list[list[Stage]] = []

    def attempt() -> Attempt:
        report = run(bundle, task, threads=context.race.threads, timeout_s=TIMEOUT_S + budget_ns / 1e9)
        counted.append([stage for stage in report.stages if stage.name in stages])
        ns = sum(stage.ns for stage in counted[-1])
        return Attempt(ns, sum(stage.queued_ns for stage in counted[-1]), machine_slowdown())

    held = hold_seconds(attempt, budget_ns)
    best = counted[held.attempts.index(held.best)]
    prefix = name.replace(" ", "_")
    facts: dict[str, Scalar] = {f"{prefix}_{stage.name.replace(' ', '_')}_ns": stage.ns for stage in best}
    return Part(
        held.outcome,
        f"{name} took {format_duration(held.best.ns)}, budget {format_duration(budget_ns)} ({held.reason})",
        f"of the {name}: {', '.join(f'{stage.name} {format_duration(stage.ns)}' for stage in best)}",
        facts
        | {
            f"{prefix}_ns": held.best.ns,
            f"{prefix}_queued_ns": held.best.queued_ns,
            f"{prefix}_attempts_ns": " ".join(str(made.ns) for made in held.attempts),
            f"{prefix}_probe_slowdown": held.best.slowdown,
        },
    )
