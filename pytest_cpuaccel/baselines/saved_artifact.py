"""The artifact of a workload that a baseline keeps, so that a later run can race it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.builder.artifact import copy_artifact
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.fingerprint import inputs_signature
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement


def with_saved_artifact(
    latency: LatencyMeasurement, request: BuildRequest, builder: Builder, shelf: Path | None
) -> LatencyMeasurement:
    """Return the measurement; where a baseline is being saved, with its artifact, which is now on the shelf."""
    if shelf is None:
        return latency
    latency = replace(latency, inputs=inputs_signature(request.inputs))
    if not request.backend.exports_model:
        return latency
    with builder.artifact(request) as folder:
        assert folder is not None
        copy_artifact(folder, shelf)
        return replace(latency, artifact=folder.name)
