"""The verdict on memory: the peak of a process that runs the model, and the artifact's size on disk."""

from __future__ import annotations

from pytest_cpuaccel.core.budget import MemoryBudget
from pytest_cpuaccel.core.measurement.memory import ArtifactSize, MemoryMeasurement, ProcessMemory
from pytest_cpuaccel.core.units import format_bytes
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.judge.partial_verdict import PartialVerdict, allowed, verdict


def judge_memory(measurement: MemoryMeasurement, budget: MemoryBudget, about: str) -> Verdict:
    """Return the verdict on a process's peak and on the artifact's size, the worse of the two; ``about`` says of what.

    A peak that has a budget and is None was not told by the kernel.
    """
    parts = []
    if budget.peak_bytes is not None:
        parts.append(_peak(measurement.process, budget.peak_bytes))
    if budget.artifact_bytes is not None and measurement.artifact is not None:
        parts.append(_artifact(measurement.artifact, budget.artifact_bytes))
    return verdict("memory", parts, measurement, about)


def _peak(process: ProcessMemory | None, budget: float) -> PartialVerdict:
    if process is None:
        return PartialVerdict(Outcome.INCONCLUSIVE, "peak memory is unknown: /proc/self/status does not tell it here")
    stages = ", ".join(f"{format_bytes(stage.resident_bytes)} after {stage.name}" for stage in process.stages)
    return PartialVerdict(
        Outcome.PASS if process.peak_bytes <= budget else Outcome.FAIL,
        f"peak memory was {format_bytes(process.peak_bytes)}, {allowed(budget, format_bytes)}",
        f"{stages}; of the last, {format_bytes(process.anonymous_bytes)} without a file behind it",
    )


def _artifact(artifact: ArtifactSize, budget: float) -> PartialVerdict:
    files = ", ".join(f"{file.path} {format_bytes(file.bytes)}" for file in artifact.largest)
    return PartialVerdict(
        Outcome.PASS if artifact.bytes <= budget else Outcome.FAIL,
        f"artifact is {format_bytes(artifact.bytes)}, {allowed(budget, format_bytes)}",
        f"of the artifact: {files}" if files else "",
    )
