"""Memory of a process as its stages reported it, and the size of an artifact."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cpuaccel.core.measurement.memory import ArtifactSize, FileSize, ProcessMemory, StageMemory
from pytest_cpuaccel.machine.memory import Memory

_LARGEST = 3


def process_memory(after: Mapping[str, Memory | None]) -> ProcessMemory | None:
    """Return the memory of a process after each of its stages, by name; None where the kernel told of none."""
    told = {name: memory for name, memory in after.items() if memory}
    if not told:
        return None
    last = list(told.values())[-1]
    stages = tuple(StageMemory(name, memory.resident_bytes) for name, memory in told.items())
    return ProcessMemory(stages, last.peak_bytes, last.anonymous_bytes)


def artifact_size(sizes: Mapping[str, int]) -> ArtifactSize:
    """Return the size of an artifact whose files have these sizes."""
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:_LARGEST]
    return ArtifactSize(sum(sizes.values()), tuple(FileSize(path, sizes[path]) for path in largest))
