"""Build a model under a backend without the builder, so that its exceptions are seen unchanged."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.builder.artifact import ArtifactKey
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.export_chain import export_in_turn
from pytest_cpuaccel.builder.fingerprint import inputs_signature, model_key
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject


def build(backend: Backend, subject: Subject, folder: Path, bases: Path | None = None) -> BuiltModel:
    """Export to ``folder`` if the backend exports, and load. Without calibration data, use the call's inputs.

    The export of its base is kept in ``bases``, for builds of that base's other variants.
    """
    if backend.calibrates and not subject.calibration:
        subject = replace(subject, calibration=(subject.inputs,))
    if not backend.exporters:
        return backend.load(subject, None)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        _export(backend.exporters, subject, folder, ArtifactStore(bases or Path(temporary), limit_bytes=sys.maxsize))
    return backend.load(subject, folder)


def _export(exporters: Sequence[Backend], subject: Subject, folder: Path, bases: ArtifactStore) -> None:
    def kept_base(before: Sequence[Backend]) -> AbstractContextManager[Path]:
        return bases.artifact(
            artifact_key(before, subject), lambda kept: _export(before, subject, kept, bases), _ignore
        )

    export_in_turn(exporters, subject, folder, kept_base)


def artifact_key(exporters: Sequence[Backend], subject: Subject) -> ArtifactKey:
    """Return the key under which ``bases`` keeps what these exporters wrote of the model."""
    return ArtifactKey(
        exporters[-1].name,
        {
            "model": model_key(subject.fresh_module()),
            "inputs": inputs_signature(subject.inputs),
            "generates": subject.generates,
            "threads": subject.threads,
        },
    )


def _ignore(note: str) -> None:
    """Ignore notes of the store; they are for people who run tests."""
