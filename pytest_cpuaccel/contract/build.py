"""To build a model under a backend without the workshop around it, so that what goes wrong comes out as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject


def build(backend: Backend, subject: Subject, folder: Path) -> BuiltModel:
    """Export to ``folder`` where the backend does, and load; without calibration data, the call's inputs stand in."""
    if backend.calibrates and not subject.calibration:
        subject = replace(subject, calibration=(subject.inputs,))
    if backend.export is None:
        return backend.load(subject, None)
    folder.mkdir(parents=True, exist_ok=True)
    backend.export(subject, folder)
    return backend.load(subject, folder)
