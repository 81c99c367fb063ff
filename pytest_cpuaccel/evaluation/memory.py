"""A workload's memory, judged by a budget: that of a fresh process that answers its call, and its artifact's size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.builder.artifact import files_of
from pytest_cpuaccel.core.budget import NO_LIMIT, MemoryBudget
from pytest_cpuaccel.core.measurement.memory import ArtifactSize, MemoryMeasurement, ProcessMemory
from pytest_cpuaccel.core.verdict import Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.isolated_run import dispatched, if_possible, verdict_on
from pytest_cpuaccel.isolated.process import TIMEOUT_S, run
from pytest_cpuaccel.judge.memory import judge_memory
from pytest_cpuaccel.measure.memory import artifact_size, process_memory
from pytest_cpuaccel.recording.workload import Workload


def evaluate_memory(
    workload: Workload, evaluation: Evaluation, budget: MemoryBudget, context: EvaluationContext
) -> Verdict | None:
    """Return the verdict on the peak of a fresh process and on the artifact's size, the worse of the two.

    A peak without a limit is left out where no fresh process can run the model; None where nothing else was asked.
    """

    def peak() -> MemoryMeasurement:
        return MemoryMeasurement(None if budget.peak_bytes is None else _process(workload, evaluation, context))

    def judged(about: str) -> Verdict | None:
        measured = if_possible(peak, context.builder.say) if budget.peak_bytes == NO_LIMIT else peak()
        held_to = budget if measured else replace(budget, peak_bytes=None)
        if held_to == MemoryBudget():
            return None
        artifact = None if budget.artifact_bytes is None else artifact_of(workload, evaluation, context)
        measurement = MemoryMeasurement(measured.process if measured else None, artifact)
        return judge_memory(measurement, held_to, about)

    return verdict_on("memory", workload, evaluation, judged)


def _process(workload: Workload, evaluation: Evaluation, context: EvaluationContext) -> ProcessMemory | None:
    with dispatched(workload.sample, evaluation, context) as bundle:
        report = run(bundle, "start", threads=context.race.threads, timeout_s=TIMEOUT_S)
    return process_memory({stage.name: stage.memory for stage in report.stages})


def artifact_of(workload: Workload, evaluation: Evaluation, context: EvaluationContext) -> ArtifactSize:
    """Return the size of the artifact behind a workload; of no bytes where its backend writes none."""
    with context.builder.artifact(evaluation.request(workload.sample)) as folder:
        return artifact_size(_sizes(folder) if folder else {})


def _sizes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files_of(folder)}
