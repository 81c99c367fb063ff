"""Builds models under backends, each once, and keeps the builds while their backend is the current one."""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from torch import nn

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.checking import check_built
from pytest_cpuaccel.backends.toolkit.slips import packages_of
from pytest_cpuaccel.backends.toolkit.weights import size_of_weights
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.backend_load import loaded
from pytest_cpuaccel.builder.build import Build
from pytest_cpuaccel.builder.calibration import Calibration
from pytest_cpuaccel.builder.eager import forward_inputs
from pytest_cpuaccel.builder.eager_calls import EagerCalls, call_twice
from pytest_cpuaccel.builder.example_record import figures
from pytest_cpuaccel.builder.exports import ArtifactOf, ExportRequest, Exports
from pytest_cpuaccel.builder.fingerprint import inputs_signature, weights_stamp
from pytest_cpuaccel.builder.keep_fp32 import NOTHING, KeepFp32, idle
from pytest_cpuaccel.builder.model_builds import BuildKey, ModelBuilds, fitting
from pytest_cpuaccel.builder.private_copy import private_copy, private_outline
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.builder.state.digest import digests_of
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.builder.state.search import TABLE
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError, BuildFailureError, CpuaccelError, retold
from pytest_cpuaccel.core.gc_freeze import give_back, older_objects_uncollected
from pytest_cpuaccel.core.identity import ByIdentity
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.internals import check_internals
from pytest_cpuaccel.core.private_inputs import private_inputs

_NO_LIMIT = 1 << 62


@dataclass
class Builder:
    """``say`` gets notes for the user; ``busy(text)`` is a context that shows what takes long.

    ``exports`` knows how many exports were made.
    """

    store: ArtifactStore
    threads: int
    say: Callable[[str], None]
    busy: Callable[[str], contextlib.AbstractContextManager[None]]
    _models: ByIdentity[nn.Module, ModelBuilds] = field(default_factory=lambda: ByIdentity(ModelBuilds.close))

    def __post_init__(self) -> None:
        self.exports = Exports(self.store, self.say)

    def begin(self, model: nn.Module) -> None:
        """Have a model's builds checked before they are used again.

        Builds of a model that keeps state are dropped, so that the next ones start from the model's present state.
        """
        self._of(model).distrust()

    def calibrate(self, model: nn.Module, calibration: Calibration | None) -> None:
        """Let builds of a model from now on use this data; with None, the inputs of the first call that needs any."""
        self._of(model).calibration = calibration

    def keep_fp32(self, model: nn.Module, keep: KeepFp32 | None) -> None:
        """Have builds of a model from now on leave these modules in fp32, where a backend quantises."""
        self._of(model).keep_fp32 = keep or NOTHING

    def kept_fp32(self, model: nn.Module) -> KeepFp32:
        """Return the modules of a model that the user keeps in fp32."""
        return self._of(model).keep_fp32

    def built(self, request: BuildRequest) -> BuiltModel:
        """Return the model under a backend, fit for these inputs; built now unless it was before.

        Raises:
            EagerError: the eager model itself raises on these inputs.
            BuildError: the backend can't build this model for them.
            BackendUnavailableError: the backend's packages don't import.
        """
        return self.build(request).model

    def build(self, request: BuildRequest) -> Build:
        """Return the build that :meth:`built` takes its model from."""
        needed, known = _needed(request), self._of(request.model)
        patterns = frozenset(_kept(request, known.keep_fp32).items())
        key = BuildKey(request.backend.name, known.calibration_for(request.backend, needed).digest, patterns)
        for build in known.current(request.model, key):
            if build.model.accepts(needed) and _serves(build.model, request.method):
                return build
        build = self._make(request)
        known.keep(key, build)
        return build

    def is_made_for(self, request: BuildRequest) -> bool:
        """Tell whether the build that serves these inputs was made for such, or for others and accepts these too."""
        return self.build(request).signature == inputs_signature(_needed(request))

    def build_anew(self, request: BuildRequest) -> BuiltModel:
        """Return a fresh build that nobody else uses; from the same artifact where there is one."""
        return self._make(request).model

    def build_from(self, artifact: Path, request: BuildRequest) -> BuiltModel:
        """Return a fresh build that nobody else uses, from an artifact that lies elsewhere; nothing is exported.

        Raises:
            BuildError: the backend can't load it.
            BackendUnavailableError: the backend's packages don't import.
        """
        return self._make(request, lambda _: contextlib.nullcontext(artifact)).model

    @contextlib.contextmanager
    def exported_anew(self, request: BuildRequest, keep_fp32: tuple[str, ...] | None = None) -> Iterator[BuiltModel]:
        """Yield a fresh build, of an export of its own, that is otherwise made as the build in use was.

        With ``keep_fp32`` these modules stay in fp32 in it, and its backend's base isn't exported again.

        Raises:
            BuildError: the backend can't build it again.
        """
        in_use = self.build(request).subject
        bases = None if keep_fp32 is None else self.exports
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as folder:
            fresh = Exports(ArtifactStore(Path(folder), _NO_LIMIT, busy=self.busy), self.say, bases=bases)
            try:
                built = self._make(replace(request, keep_fp32=keep_fp32), fresh.artifact, in_use.inputs).model
            finally:
                self.exports.made += fresh.made
            try:
                yield built
            finally:
                built.close()

    def discard(self, model: nn.Module, backend: Backend) -> None:
        """Delete the builds and exports of a model under a backend, because they turned out to be wrong."""
        for build in self._of(model).take(backend):
            with build.artifact() as folder:
                if folder is not None:
                    self.store.discard(folder)
            build.model.close()

    def artifact(self, request: BuildRequest) -> contextlib.AbstractContextManager[Path | None]:
        """Return a context with the folder of the artifact behind ``built()``; None for a backend without any."""
        return self.build(request).artifact()

    def subject(self, request: BuildRequest) -> Subject:
        """Return the subject that the backend built ``built()`` from."""
        return self.build(request).subject

    def release(self) -> None:
        """Close every build and forget it."""
        for known in self._models.values():
            known.close()

    def _of(self, model: nn.Module) -> ModelBuilds:
        return self._models.setdefault(model, ModelBuilds)

    def _make(self, request: BuildRequest, artifact: ArtifactOf | None = None, example: Inputs | None = None) -> Build:
        """A fresh build for inputs like the ``example``; the process is left as it was."""
        model, backend, known = request.model, request.backend, self._of(request.model)
        with process_kept(self.threads):
            inputs = _needed(request) if example is None else example
            calibration = fitting(known.calibration_for(backend, inputs), inputs)
            kept = _kept(request, known.keep_fp32)
            calls = call_twice(model, inputs)
            if not calls.state.is_whole and not known.is_warned_of:
                known.is_warned_of = True
                self.say(
                    f"{type(model).__name__} refers to a table of more than {TABLE:,} objects, or to very many; state "
                    "that it keeps within those is neither put back nor compared"
                )
            subject = Subject(
                fresh_module=partial(_copy_of, weakref.ref(model)),
                fresh_outline=partial(_outline_of, weakref.ref(model)),
                inputs=private_inputs(inputs),
                expected=calls.answer.output,
                threads=self.threads,
                generates=request.method == "generate",
                options=backend.options,
                calibration=tuple(private_inputs(_needed(replace(request, inputs=it))) for it in calibration.inputs),
                keep_fp32=tuple(dict.fromkeys(path for paths in kept.values() for path in paths)),
                keep_fp32_patterns=_without_idle(kept, model, backend),
            )
            export = ExportRequest(model, weights_stamp(model), backend.exporters, subject, calibration)
            return self._loaded(request, export, calls, artifact or self.exports.artifact)

    def _loaded(self, request: BuildRequest, export: ExportRequest, calls: EagerCalls, artifact: ArtifactOf) -> Build:
        """A build of what is exported first, unless there is an artifact of it."""
        model, backend, subject, calibration = request.model, request.backend, export.subject, export.calibration
        busy = self.busy(f"building {type(model).__name__} for {backend.name}")
        # Optimum's export alone collects five times.
        with busy, _named_errors(backend, calls.state), older_objects_uncollected(), calls.start.kept():
            check_internals(backend.name)
            with artifact(export) as folder:
                built = loaded(backend, subject, folder, calls.state)
            give_back(size_of_weights(model))
            check_built(built, self.threads, request.method)
        if not calibration.given:
            self.say(
                f"{backend.name}: {type(model).__name__} was calibrated on one call's own inputs; give it data by the "
                "fixture cpu_calibration or cpu_accelerate(model, calibration=...)"
            )
        if request.keep_fp32 is None:
            keep = self._of(model).keep_fp32
            for pattern in idle(_kept(request, keep), model, backend):
                self.say(f"{backend.name}: {keep.of}: {pattern!r} has nothing that it would quantise")
        return Build(
            model=replace(built, facts={**built.facts, **calibration.facts}),
            signature=inputs_signature(subject.inputs),
            subject=subject,
            artifact=partial(_artifact_of, weakref.ref(model), artifact, backend.exporters, subject, calibration),
            stamp=export.weights,
            answers=figures(calls.answer.output),
            state=calls.state,
            digests=digests_of(calls.start),
            returned=calls.answer.returned,
        )


def _kept(request: BuildRequest, keep: KeepFp32) -> Mapping[str, tuple[str, ...]]:
    """The paths of modules that stay in fp32 in a build, by what names them.

    A refusal begins with the backend's name, as others do.
    """
    if request.keep_fp32 is not None:
        return {", ".join(request.keep_fp32): request.keep_fp32} if request.keep_fp32 else {}
    try:
        return keep.for_backend(request.backend)
    except BuildError as error:
        raise retold(error, f"{request.backend.name}: {error}") from None


def _without_idle(
    kept: Mapping[str, tuple[str, ...]], model: nn.Module, backend: Backend
) -> Mapping[str, tuple[str, ...]]:
    without = idle(kept, model, backend)
    return {pattern: paths for pattern, paths in kept.items() if pattern not in without}


def _copy_of(model: weakref.ref[nn.Module]) -> nn.Module:
    return private_copy(_alive(model))


def _outline_of(model: weakref.ref[nn.Module]) -> nn.Module:
    return private_outline(_alive(model))


def _artifact_of(
    model: weakref.ref[nn.Module],
    artifact: ArtifactOf,
    exporters: Sequence[Backend],
    subject: Subject,
    calibration: Calibration,
) -> contextlib.AbstractContextManager[Path | None]:
    found = _alive(model)
    return artifact(ExportRequest(found, weights_stamp(found), exporters, subject, calibration))


def _alive(model: weakref.ref[nn.Module]) -> nn.Module:
    found = model()
    if found is None:
        raise BuildFailureError("the model that this was built from is gone")
    return found


def _serves(built: BuiltModel, method: Method) -> bool:
    return built.generate is not None if method == "generate" else not built.lacks


def _needed(request: BuildRequest) -> Inputs:
    return forward_inputs(request.model, request.inputs) if request.method == "generate" else request.inputs


@contextlib.contextmanager
def _named_errors(backend: Backend, state: State) -> Iterator[None]:
    """Turn an exception of a backend into an error of ours with the backend's name; mention the model's state."""
    names = ", ".join(state.names) if backend.exporters else ""
    kept = f" (the model keeps state from call to call: {names})" if names else ""
    try:
        with upstream.contained(packages_of(backend)):
            yield
    except CpuaccelError as error:
        raise retold(error, f"{backend.name}: {str(error).removeprefix(f'{backend.name}: ')}{kept}") from error
