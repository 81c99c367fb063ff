"""Builds models under backends, each once, and keeps them while their backend is in force."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from pytest_cpuaccel.build.artifacts import ArtifactKey, ArtifactStore, copy_files
from pytest_cpuaccel.build.calibration import NONE, Calibration
from pytest_cpuaccel.build.fingerprint import inputs_signature, model_digest
from pytest_cpuaccel.build.original import forward_inputs, private_copy, run_eager
from pytest_cpuaccel.build.tools import upstream
from pytest_cpuaccel.build.tools.checking import check_built
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Requirement, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError
from pytest_cpuaccel.core.heap import older_objects_uncollected
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.measure.machine import this_machine

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


@dataclass(frozen=True)
class _Build:
    """A built model, and what it was made of: inputs of this signature, the artifact's folder when entered."""

    model: BuiltModel
    signature: str
    subject: Subject
    artifact: Callable[[], contextlib.AbstractContextManager[Path | None]]


@dataclass
class Workshop:
    """``say`` gets notes for the user; ``busy(text)`` is a context that shows what takes long."""

    store: ArtifactStore
    threads: int
    say: Callable[[str], None]
    busy: Callable[[str], contextlib.AbstractContextManager[None]]
    _built: dict[tuple[str, str, str], list[_Build]] = field(default_factory=dict)
    _calibration: weakref.WeakKeyDictionary[nn.Module, Calibration] = field(default_factory=weakref.WeakKeyDictionary)
    _refusals: dict[str, str] = field(default_factory=dict)

    def calibrate(self, model: nn.Module, calibration: Calibration | None) -> None:
        """Let builds of a model from now on use this data; with None, the inputs of the first call that needs any."""
        self._calibration.pop(model, None)
        if calibration is not None:
            self._calibration[model] = calibration

    def built(self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs) -> BuiltModel:
        """Return the model under a backend, fit for these inputs; built now unless it was before.

        Raises:
            EagerError: the eager model itself raises on these inputs.
            BuildError: the backend can't build this model for them.
            BackendUnavailableError: the backend's packages don't import.
        """
        return self._build_for(model, backend, method, inputs).model

    def is_made_for(self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs) -> bool:
        """Tell whether the build that serves these inputs was made for such, or for others and accepts these too."""
        return self._build_for(model, backend, method, inputs).signature == _signature(model, method, inputs)

    def _build_for(self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs) -> _Build:
        needed = _needed(model, method, inputs)
        calibration = self._calibration_for(model, backend, needed)
        builds = self._built.setdefault((model_digest(model), backend.name, calibration.digest), [])
        for built in builds:
            if built.model.accepts(needed) and _serves(built.model, method):
                return built
        builds.append(self._make(model, backend, method, inputs))
        return builds[-1]

    def build_anew(self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs) -> BuiltModel:
        """Return a fresh build that nobody else uses; from the same artifact where there is one."""
        return self._make(model, backend, method, inputs).model

    def build_from(
        self, artifact: Path, model: nn.Module, backend: Backend, method: Method, inputs: Inputs
    ) -> BuiltModel:
        """Return a fresh build that nobody else uses, from an artifact that lies elsewhere; nothing is exported.

        Raises:
            BuildError: the backend can't load it.
            BackendUnavailableError: the backend's packages don't import.
        """
        return self._make(model, backend, method, inputs, artifact).model

    def artifact(
        self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs
    ) -> contextlib.AbstractContextManager[Path | None]:
        """Return a context with the folder of the artifact behind ``built()``; None for a backend without any."""
        return self._build_for(model, backend, method, inputs).artifact()

    def subject(self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs) -> Subject:
        """Return what the backend was asked to build when it made ``built()``."""
        return self._build_for(model, backend, method, inputs).subject

    def _make(
        self, model: nn.Module, backend: Backend, method: Method, inputs: Inputs, kept: Path | None = None
    ) -> _Build:
        torch.set_num_threads(self.threads)
        needed = _needed(model, method, inputs)
        calibration = _fitting(self._calibration_for(model, backend, needed), needed)
        subject = _subject(model, backend, method, needed, calibration, self.threads)
        exported = partial(self._artifact, model, backend.exporters, subject, calibration)
        artifact = partial(contextlib.nullcontext, kept) if kept else exported
        busy = self.busy(f"building {type(model).__name__} for {backend.name}")
        with busy, _named_errors(backend), older_objects_uncollected():  # Optimum's export alone collects five times
            with artifact() as folder:
                built = backend.load(subject, folder)
            check_built(built, self.threads, method)
        if not calibration.given:
            self.say(
                f"{backend.name}: {type(model).__name__} was calibrated on one call's own inputs; give it data by the "
                "fixture cpu_calibration or cpu_accelerate(model, calibration=...)"
            )
        built = replace(built, facts={**built.facts, **calibration.facts})
        return _Build(built, inputs_signature(needed), subject, artifact)

    def release(self) -> None:
        """Close every build and forget it."""
        for builds in self._built.values():
            for built in builds:
                built.model.close()
        self._built.clear()

    def _calibration_for(self, model: nn.Module, backend: Backend, inputs: Inputs) -> Calibration:
        if not backend.calibrates:
            return NONE
        return self._calibration.setdefault(model, Calibration((_clone(inputs),), given=False))

    def _artifact(
        self, model: nn.Module, exporters: Sequence[Backend], subject: Subject, calibration: Calibration
    ) -> contextlib.AbstractContextManager[Path | None]:
        """What the last exporter makes of a copy of what those before it left, which is kept too; None without any."""
        if not exporters:
            return contextlib.nullcontext()
        *before, last = exporters
        key = self._key(model, exporters, subject, calibration)

        def export(folder: Path) -> None:
            if before:  # a base is locked while its variant is, never the other way round: nobody waits in a circle
                with self._artifact(model, before, subject, calibration) as base:
                    assert base is not None
                    copy_files(base, folder)
            last.run_export(subject, folder)

        return self.store.artifact(key, partial(self._unless_refused, key, export), self.say)

    def _unless_refused(self, key: ArtifactKey, export: Callable[[Path], None], folder: Path) -> None:
        """Export, but not again what was refused before: that takes as long, for each test and each variant."""
        if refusal := self._refusals.get(key.folder_name):
            raise BuildError(refusal)
        try:
            with upstream.contained():
                export(folder)
        except BuildError as error:
            self._refusals[key.folder_name] = str(error)
            raise

    def _key(
        self, model: nn.Module, exporters: Sequence[Backend], subject: Subject, calibration: Calibration
    ) -> ArtifactKey:
        *before, last = exporters
        return ArtifactKey(
            f"{type(model).__name__}-{last.name}",
            {
                "model": model_digest(model),
                "inputs": inputs_signature(subject.inputs),
                "generates": subject.generates,
                "backend": last.name,
                "options": dict(last.options),
                "threads": self.threads,
                "versions": last.versions | {name: Requirement(name).installed for name in _EXPORTERS},
                "isa": this_machine().isa,
            }
            | ({"calibration": calibration.digest} if last.calibrates else {})
            | ({"base": self._key(model, before, subject, calibration).folder_name} if before else {}),
        )


def _fitting(calibration: Calibration, inputs: Inputs) -> Calibration:
    """The data; where a call stands in for them that is of another kind than the one built for, this one does."""
    if calibration.given or inputs_signature(calibration.inputs[0]) == inputs_signature(inputs):
        return calibration
    return Calibration((_clone(inputs),), given=False)


def _serves(built: BuiltModel, method: Method) -> bool:
    return built.generate is not None if method == "generate" else not built.lacks


def _needed(model: nn.Module, method: Method, inputs: Inputs) -> Inputs:
    return forward_inputs(model, inputs) if method == "generate" else inputs


def _subject(
    model: nn.Module, backend: Backend, method: Method, inputs: Inputs, calibration: Calibration, threads: int
) -> Subject:
    return Subject(
        fresh_module=lambda: private_copy(model),
        inputs=_clone(inputs),
        expected=tree.clone(run_eager(model, "forward", inputs)),
        threads=threads,
        generates=method == "generate",
        options=backend.options,
        calibration=tuple(_clone(_needed(model, method, item)) for item in calibration.inputs),
    )


def _clone(inputs: Inputs) -> Inputs:
    return Inputs(tree.clone(inputs.args), tree.clone(dict(inputs.kwargs)))


def _signature(model: nn.Module, method: Method, inputs: Inputs) -> str:
    return inputs_signature(_needed(model, method, inputs))


@contextlib.contextmanager
def _named_errors(backend: Backend) -> Iterator[None]:
    """Put the backend's name before what goes wrong in it, and make it an error of ours."""
    try:
        with upstream.contained():
            yield
    except CpuaccelError as error:
        raise type(error)(f"{backend.name}: {str(error).removeprefix(f'{backend.name}: ')}") from error
