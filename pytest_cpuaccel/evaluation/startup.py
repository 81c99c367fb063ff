"""A workload's start, judged by a budget: the time of fresh processes to answer its call, or to build its model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pytest_cpuaccel.core.budget import NO_LIMIT, StartupBudget
from pytest_cpuaccel.core.measurement.startup import Attempt, StageTime, Starts, StartupMeasurement
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.isolated_run import dispatched, if_possible, verdict_on
from pytest_cpuaccel.isolated.process import TIMEOUT_S, run
from pytest_cpuaccel.isolated.report import EXPORT, FIRST_CALL, IMPORTS, LOAD
from pytest_cpuaccel.judge.startup import judge_startup
from pytest_cpuaccel.measure.startup import attempt_of, start_until
from pytest_cpuaccel.recording.workload import Workload

STAGES = {"start": (IMPORTS, LOAD, FIRST_CALL), "build": (EXPORT, LOAD)}
"""The stages that count of each task."""


def evaluate_startup(
    workload: Workload, evaluation: Evaluation, budget: StartupBudget, context: EvaluationContext
) -> Verdict | None:
    """Return the verdict on a workload's cold start and on the build behind it, the worse of the two.

    It is None where nothing is limited, and no fresh process can run the model.
    """

    def measured() -> StartupMeasurement:
        with dispatched(workload.sample, evaluation, context) as bundle:
            starts = partial(_starts, bundle, context.race.threads)
            return StartupMeasurement(starts("start", budget.cold_start_ns), starts("build", budget.build_ns))

    def judged(about: str) -> Verdict | None:
        is_limited = any(limit not in (None, NO_LIMIT) for limit in (budget.cold_start_ns, budget.build_ns))
        measurement = measured() if is_limited else if_possible(measured, context.builder.say)
        return None if measurement is None else judge_startup(measurement, budget, about)

    return verdict_on("startup", workload, evaluation, judged)


def _starts(bundle: Path, threads: int, task: str, limit_ns: float | None) -> Starts | None:
    if limit_ns is None:
        return None

    def attempt() -> Attempt:
        report = run(
            bundle, task, threads=threads, timeout_s=TIMEOUT_S + (0 if limit_ns == NO_LIMIT else limit_ns / 1e9)
        )
        counted = [stage for stage in report.stages if stage.name in STAGES[task]]
        return attempt_of(
            [StageTime(stage.name, stage.ns) for stage in counted], sum(stage.queued_ns for stage in counted)
        )

    return start_until(limit_ns, attempt)
