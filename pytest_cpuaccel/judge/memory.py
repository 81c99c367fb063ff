"""The verdict on memory: what a process that runs the model holds at most, and what the artifact takes on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_cpuaccel.builder.artifact import files_of
from pytest_cpuaccel.core.budget import MemoryBudget
from pytest_cpuaccel.core.units import format_bytes
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.isolated.process import TIMEOUT_S, run
from pytest_cpuaccel.isolated.report import Report
from pytest_cpuaccel.judge.context import EvaluationContext
from pytest_cpuaccel.judge.evaluation import Evaluation
from pytest_cpuaccel.judge.isolated_run import dispatched, measured
from pytest_cpuaccel.judge.part import Part
from pytest_cpuaccel.recording.workload import Workload

_SHOWN_FILES = 3


def judge_memory(
    workload: Workload, evaluation: Evaluation, budget: MemoryBudget, context: EvaluationContext
) -> Verdict:
    """Return the verdict on the peak of a fresh process and on the artifact's size, the worse of the two."""
    return measured("memory", workload, evaluation, _parts(workload, evaluation, budget, context))


def _parts(
    workload: Workload, evaluation: Evaluation, budget: MemoryBudget, context: EvaluationContext
) -> Iterator[Part]:
    call = workload.sample
    if budget.peak_bytes is not None:
        with dispatched(call, evaluation, context) as bundle:
            report = run(bundle, "start", threads=context.race.threads, timeout_s=TIMEOUT_S)
        yield _peak(report, budget.peak_bytes)
    if budget.artifact_bytes is not None:
        with context.builder.artifact(evaluation.request(call)) as folder:
            yield _artifact(_sizes(folder) if folder else {}, budget.artifact_bytes)


def _peak(report: Report, budget: int) -> Part:
    held = {stage.name: stage.memory for stage in report.stages if stage.memory}
    if not held:
        return Part(Outcome.INCONCLUSIVE, "peak memory is unknown: /proc/self/status does not tell it here")
    first, last = next(iter(held.values())), list(held.values())[-1]
    stages = ", ".join(f"{format_bytes(memory.resident_bytes)} after {name}" for name, memory in held.items())
    return Part(
        Outcome.PASS if last.peak_bytes <= budget else Outcome.FAIL,
        f"peak memory was {format_bytes(last.peak_bytes)}, budget {format_bytes(budget)}",
        f"{stages}; of the last, {format_bytes(last.anonymous_bytes)} without a file behind it",
        {
            "peak_bytes": last.peak_bytes,
            "above_imports_bytes": last.peak_bytes - first.resident_bytes,
            "anonymous_bytes": last.anonymous_bytes,
        }
        | {f"after_{name.replace(' ', '_')}_bytes": memory.resident_bytes for name, memory in held.items()},
    )


def _artifact(sizes: dict[str, int], budget: int) -> Part:
    size = sum(sizes.values())
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:_SHOWN_FILES]
    return Part(
        Outcome.PASS if size <= budget else Outcome.FAIL,
        f"artifact is {format_bytes(size)}, budget {format_bytes(budget)}",
        f"of the artifact: {', '.join(f'{name} {format_bytes(sizes[name])}' for name in largest)}" if sizes else "",
        {"artifact_bytes": size},
    )


def _sizes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files_of(folder)}
