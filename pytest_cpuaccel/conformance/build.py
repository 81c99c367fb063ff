"""Build a model under a backend without the builder, so that its exceptions are seen unchanged."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from pytest_cpuaccel.builder.artifact_store import ArtifactKey, ArtifactStore, copy_files
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
    with tempfile.TemporaryDirectory() as temporary:
        _export(backend, subject, folder, ArtifactStore(bases or Path(temporary), limit_bytes=sys.maxsize))
    return backend.load(subject, folder)


def _export(backend: Backend, subject: Subject, folder: Path, bases: ArtifactStore) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    base = backend.base
    if base:
        with bases.artifact(_key(base, subject), lambda kept: _export(base, subject, kept, bases), _ignore) as exported:
            copy_files(exported, folder)
    if backend.export:
        backend.run_export(subject, folder)


def _key(base: Backend, subject: Subject) -> ArtifactKey:
    return ArtifactKey(
        base.name,
        {
            "model": model_key(subject.fresh_module()),
            "inputs": inputs_signature(subject.inputs),
            "generates": subject.generates,
            "threads": subject.threads,
        },
    )


def _ignore(note: str) -> None:
    """Ignore notes of the store; they are for people who run tests."""
