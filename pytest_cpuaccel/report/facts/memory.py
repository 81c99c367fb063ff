"""Memory as flat facts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.measurement.memory import ArtifactSize, MemoryMeasurement, ProcessMemory, StageMemory
from pytest_cpuaccel.report.facts.scalars import Facts, count

_STAGE = re.compile(r"after_(?P<stage>\w+)_bytes")


def flat(measurement: MemoryMeasurement) -> dict[str, Scalar]:
    """Return the facts of a measurement; single files of the artifact are left out."""
    facts: dict[str, Scalar] = {}
    process, artifact = measurement.process, measurement.artifact
    if process is not None:
        facts["peak_bytes"] = process.peak_bytes
        facts["above_imports_bytes"] = process.above_imports_bytes
        facts["anonymous_bytes"] = process.anonymous_bytes
        facts |= {f"after_{stage.name.replace(' ', '_')}_bytes": stage.resident_bytes for stage in process.stages}
    if artifact is not None:
        facts["artifact_bytes"] = artifact.bytes
    return facts


def read(facts: Facts) -> MemoryMeasurement | None:
    """Return the measurement that facts hold; None where they hold none."""
    artifact_bytes = count(facts, "artifact_bytes")
    measurement = MemoryMeasurement(_process(facts), None if artifact_bytes is None else ArtifactSize(artifact_bytes))
    return None if measurement == MemoryMeasurement() else measurement


def _process(facts: Facts) -> ProcessMemory | None:
    peak_bytes, anonymous_bytes, stages = count(facts, "peak_bytes"), count(facts, "anonymous_bytes"), [*_stages(facts)]
    if peak_bytes is None or anonymous_bytes is None or not stages:
        return None
    return ProcessMemory(tuple(stages), peak_bytes, anonymous_bytes)


def _stages(facts: Facts) -> Iterator[StageMemory]:
    for name in facts:
        found, resident_bytes = _STAGE.fullmatch(name), count(facts, name)
        if found and resident_bytes is not None:
            yield StageMemory(found["stage"].replace("_", " "), resident_bytes)
