"""Exports: artifacts that backends write, taken from the store if a stored one is still right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from torch import nn

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.slips import packages_of
from pytest_cpuaccel.builder.artifact import ArtifactKey
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.calibration import Calibration
from pytest_cpuaccel.builder.example_record import Example
from pytest_cpuaccel.builder.export_chain import export_in_turn
from pytest_cpuaccel.builder.fingerprint import inputs_signature, model_key
from pytest_cpuaccel.builder.source_code import code_digest, package_digest
from pytest_cpuaccel.core.backend import Backend, Requirement, Subject
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, retold
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
"""Distributions whose version may change any backend's export."""

_FORMAT = 4
"""The number of the format of our own exports; raise it with every change that makes older artifacts wrong."""

_OURS = __name__.partition(".")[0]


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """A request for the files that ``exporters`` write in turn of ``model``; none of them: for no files.

    ``weights`` is the stamp of the model's weights, as they are now.
    """

    model: nn.Module
    weights: str
    exporters: Sequence[Backend]
    subject: Subject
    calibration: Calibration

    @cached_property
    def key(self) -> ArtifactKey:
        """Return what the files are known to depend on."""
        return self._key(self.exporters, model_key(self.model, self.weights))

    def _key(self, exporters: Sequence[Backend], identity: Mapping[str, str]) -> ArtifactKey:
        *before, last = exporters
        return ArtifactKey(
            f"{type(self.model).__name__}-{last.name}",
            {
                "format": _FORMAT,
                "model": identity,
                "inputs": inputs_signature(self.subject.inputs),
                "generates": self.subject.generates,
                "backend": last.name,
                "backend_code": code_of(last),
                "options": dict(last.options),
                "threads": self.subject.threads,
                "versions": last.versions | {name: Requirement(name).installed for name in _EXPORTERS},
                "isa": this_machine().isa,
            }
            | ({"calibration": self.calibration.digest} if last.calibrates else {})
            | ({"keep_fp32": _kept(self.subject)} if last.quantises and self.subject.keep_fp32 else {})
            | ({"base": self._key(before, identity).folder_name} if before else {}),
        )


def _kept(subject: Subject) -> list[list[str]]:
    """The modules that stay in fp32, and the patterns, which an export refuses where one of them leads nowhere."""
    return [sorted(subject.keep_fp32), sorted(subject.keep_fp32_patterns)]


ArtifactOf = Callable[[ExportRequest], contextlib.AbstractContextManager[Path | None]]
"""A context with the folder of what is requested; None where there are no exporters."""


@dataclass
class Exports:
    """``say`` takes notes for the user. ``refusals`` holds the errors of failed exports, by model and key.

    ``made`` counts the exports that were made, those that failed among them. ``bases`` makes and keeps what variants
    start from, if not this itself.
    """

    store: ArtifactStore
    say: Callable[[str], None]
    refusals: ByIdentity[nn.Module, dict[str, CpuaccelError]] = field(default_factory=ByIdentity)
    made: int = 0
    bases: Exports | None = None

    def artifact(self, request: ExportRequest) -> contextlib.AbstractContextManager[Path | None]:
        """Return a context with the folder that the last exporter wrote; None without any exporter.

        It starts from a copy of what those before it left, which is kept too. An artifact of an earlier session is
        taken only where eager still answers as it did when that was exported.
        """
        if not request.exporters:
            return contextlib.nullcontext()
        subject = request.subject
        proof = None if request.exporters[-1].caches else Example(request.model, subject.inputs, subject.expected)
        return self.store.artifact(request.key, partial(self._export, request), self.say, proof)

    def _export(self, request: ExportRequest, folder: Path) -> None:
        """Export, unless the same export was refused before: another try would cost time in each test and variant."""
        refused = self.refusals.setdefault(request.model, dict)
        if refusal := refused.get(request.key.folder_name):
            raise retold(refusal, str(refusal))
        self.made += 1

        def kept_base(before: Sequence[Backend]) -> contextlib.AbstractContextManager[Path | None]:
            # A base is locked while its variant is, never the other way round: nobody waits in a circle.
            return (self.bases or self).artifact(replace(request, exporters=before))

        text = f"exporting {type(request.model).__name__} for {request.exporters[-1].name}"
        try:
            with self.store.busy(text), upstream.contained(packages_of(request.exporters[-1])):
                export_in_turn(request.exporters, request.subject, folder, kept_base)
        except BuildError as error:
            refused[request.key.folder_name] = retold(error, str(error))  # without what a traceback keeps alive
            raise


def code_of(backend: Backend) -> str:
    """Return a digest of the current code of a backend's functions; a version may not identify it."""
    functions = [function for function in (backend.export, backend.load) if function is not None]
    return " ".join((code_digest(functions), *(package_digest(item) for item in functions if not _is_ours(item))))


def _is_ours(function: object) -> bool:
    named = getattr(function, "func", function)
    return str(getattr(named, "__module__", "")).partition(".")[0] == _OURS
