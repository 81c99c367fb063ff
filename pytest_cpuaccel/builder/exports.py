"""Exports: what backends write of a model to disk, taken from the store of artifacts where that is still right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torch import nn

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.builder.artifact_store import ArtifactKey, ArtifactStore, copy_files
from pytest_cpuaccel.builder.calibration import Calibration
from pytest_cpuaccel.builder.example_record import Example
from pytest_cpuaccel.builder.fingerprint import inputs_signature, model_key
from pytest_cpuaccel.builder.source_code import code_digest, package_digest
from pytest_cpuaccel.core.backend import Backend, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.identity import ByIdentity
from pytest_cpuaccel.machine.cpu import this_machine

_EXPORTERS = (
    "pytest-cpuaccel",
    "torch",
    "transformers",
    "optimum",
    "optimum-onnx",
    "optimum-intel",
    "onnx",
    "onnxscript",
)
"""Distributions whose version may change what an export writes, whatever the backend."""

_FORMAT = 3
"""Of what our own exports write; raised with every change by which an older one would be taken for today's."""

_OURS = __name__.partition(".")[0]


@dataclass(frozen=True)
class Exports:
    """``say`` gets notes for the user. ``refusals`` are the reasons of exports that failed, by model and key."""

    store: ArtifactStore
    say: Callable[[str], None]
    refusals: ByIdentity[nn.Module, dict[str, str]] = field(default_factory=ByIdentity)

    def artifact(
        self, model: nn.Module, weights: str, exporters: Sequence[Backend], subject: Subject, calibration: Calibration
    ) -> contextlib.AbstractContextManager[Path | None]:
        """Return a context with the folder that the last exporter wrote; None without any exporter.

        ``weights`` is the stamp of the model's weights, as they are now.
        It starts from a copy of what those before it left, which is kept too. An artifact of an earlier session is
        taken only where eager still answers as it did when that was exported.
        """
        if not exporters:
            return contextlib.nullcontext()
        *before, last = exporters
        key = _key(model_key(model, weights), model, exporters, subject, calibration)

        def export(folder: Path) -> None:
            if before:  # a base is locked while its variant is, never the other way round: nobody waits in a circle
                with self.artifact(model, weights, before, subject, calibration) as base:
                    assert base is not None
                    copy_files(base, folder)
            last.run_export(subject, folder)

        proof = None if last.caches else Example(model, subject.inputs, subject.expected)
        return self.store.artifact(key, partial(self._unless_refused, model, key, export), self.say, proof)

    def _unless_refused(self, model: nn.Module, key: ArtifactKey, export: Callable[[Path], None], folder: Path) -> None:
        """Export, but not again what was refused before: that takes as long, for each test and each variant."""
        refused = self.refusals.setdefault(model, dict)
        if refusal := refused.get(key.folder_name):
            raise BuildError(refusal)
        try:
            with upstream.contained():
                export(folder)
        except BuildError as error:
            refused[key.folder_name] = str(error)
            raise


def _key(
    identity: Mapping[str, str],
    model: nn.Module,
    exporters: Sequence[Backend],
    subject: Subject,
    calibration: Calibration,
) -> ArtifactKey:
    *before, last = exporters
    return ArtifactKey(
        f"{type(model).__name__}-{last.name}",
        {
            "format": _FORMAT,
            "model": identity,
            "inputs": inputs_signature(subject.inputs),
            "generates": subject.generates,
            "backend": last.name,
            "backend_code": code_of(last),
            "options": dict(last.options),
            "threads": subject.threads,
            "versions": last.versions | {name: Requirement(name).installed for name in _EXPORTERS},
            "isa": this_machine().isa,
        }
        | ({"calibration": calibration.digest} if last.calibrates else {})
        | ({"base": _key(identity, model, before, subject, calibration).folder_name} if before else {}),
    )


def code_of(backend: Backend) -> str:
    """Return a digest of the code of a backend's functions as it is now, for which a version may not stand."""
    functions = [function for function in (backend.export, backend.load) if function is not None]
    return " ".join((code_digest(functions), *(package_digest(item) for item in functions if not _is_ours(item))))


def _is_ours(function: object) -> bool:
    named = getattr(function, "func", function)
    return str(getattr(named, "__module__", "")).partition(".")[0] == _OURS
