"""Builds models under backends, each once, and keeps them while their backend is in force."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.checking import check_built
from pytest_cpuaccel.backends.toolkit.weights import size_of_weights
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.calibration import NONE, Calibration
from pytest_cpuaccel.builder.compiled_models import note_scripted_functions
from pytest_cpuaccel.builder.eager import call_eager, forward_inputs
from pytest_cpuaccel.builder.example_record import Figures, alike, figures, seeded_figures
from pytest_cpuaccel.builder.exports import Exports
from pytest_cpuaccel.builder.fingerprint import inputs_signature, weights_stamp
from pytest_cpuaccel.builder.glance import Glance
from pytest_cpuaccel.builder.private_copy import deep_copy, private_copy, private_outline
from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.builder.random_generators import seeded
from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.digest import Digests, are_changed, digests_of
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.builder.state.lost import lost_state
from pytest_cpuaccel.builder.state.search import TABLE
from pytest_cpuaccel.builder.state.snapshot import Snapshot, untouched
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Answer, Method
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, EagerError
from pytest_cpuaccel.core.gc_freeze import give_back, older_objects_uncollected
from pytest_cpuaccel.core.identity import ByIdentity
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs

_NO_LIMIT = 1 << 62


class _Absent(Enum):
    """Stands for an attribute that a model has only after a call."""

    ABSENT = 0


_ABSENT = _Absent.ABSENT


@dataclass(frozen=True)
class Build:
    """A built model, and what it was made of.

    ``signature`` is that of the inputs it was made for, ``artifact()`` a context with its artifact's folder. ``stamp``
    and ``answers`` are those of the eager model at that time, ``state`` what its calls change, ``returned`` the input
    that they return, as in :class:`~pytest_cpuaccel.core.call.Answer`. ``digests`` are those of its state.
    """

    model: BuiltModel
    signature: str
    subject: Subject
    artifact: Callable[[], contextlib.AbstractContextManager[Path | None]]
    stamp: str
    answers: Figures
    state: State
    digests: Digests
    returned: int | str | None = None


@dataclass
class _Known:
    """What belongs to one model object: builds by backend and calibration; those in ``trusted`` are current."""

    builds: dict[tuple[str, str], list[Build]] = field(default_factory=dict)
    calibration: Calibration | None = None
    trusted: set[int] = field(default_factory=set)
    stamp: str | None = None
    digests: Digests | None = None
    is_warned_of: bool = False

    def close(self) -> None:
        for builds in self.builds.values():
            for build in builds:
                build.model.close()
        self.builds.clear()


@dataclass
class Builder:
    """``say`` gets notes for the user; ``busy(text)`` is a context that shows what takes long."""

    store: ArtifactStore
    threads: int
    say: Callable[[str], None]
    busy: Callable[[str], contextlib.AbstractContextManager[None]]
    _models: ByIdentity[nn.Module, _Known] = field(default_factory=lambda: ByIdentity(_Known.close))

    def __post_init__(self) -> None:
        self._exports = Exports(self.store, self.say)

    def begin(self, model: nn.Module) -> None:
        """Take nothing for granted of a model's builds any more: they are checked before they are used again.

        Builds of a model that keeps state are dropped, so that the next ones start where the model stands now.
        """
        known = self._models.setdefault(model, _Known)
        known.trusted.clear()
        known.stamp = known.digests = None
        for key, builds in known.builds.items():
            known.builds[key] = [build for build in builds if not build.state.names]
            for build in builds:
                if build.state.names:
                    build.model.close()

    def calibrate(self, model: nn.Module, calibration: Calibration | None) -> None:
        """Let builds of a model from now on use this data; with None, the inputs of the first call that needs any."""
        self._models.setdefault(model, _Known).calibration = calibration

    def built(self, request: BuildRequest) -> BuiltModel:
        """Return the model under a backend, fit for these inputs; built now unless it was before.

        Raises:
            EagerError: the eager model itself raises on these inputs.
            BuildError: the backend can't build this model for them.
            BackendUnavailableError: the backend's packages don't import.
        """
        return self.build(request).model

    def build(self, request: BuildRequest) -> Build:
        """Return what is behind :meth:`built`."""
        needed, known = _needed(request), self._models.setdefault(request.model, _Known)
        calibration = self._calibration_for(known, request.backend, needed)
        builds = known.builds.setdefault((request.backend.name, calibration.digest), [])
        for build in [*builds]:
            if not self._is_current(request.model, known, build):
                builds.remove(build)
                build.model.close()
            elif build.model.accepts(needed) and _serves(build.model, request.method):
                return build
        builds.append(self._make(request))
        known.trusted.add(id(builds[-1]))
        return builds[-1]

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
        return self._make(request, lambda *_: contextlib.nullcontext(artifact)).model

    @contextlib.contextmanager
    def exported_anew(self, request: BuildRequest) -> Iterator[BuiltModel]:
        """Yield a fresh build, of an export of its own, that is otherwise made as the build in use was.

        Raises:
            BuildError: the backend can't build it again.
        """
        in_use = self.build(request).subject
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as folder:
            exports = Exports(ArtifactStore(Path(folder), _NO_LIMIT), self.say)
            built = self._make(request, exports.artifact, in_use.inputs).model
            try:
                yield built
            finally:
                built.close()

    def discard(self, model: nn.Module, backend: Backend) -> None:
        """Forget what was built and exported of a model under a backend, for it turned out to be wrong."""
        known = self._models.setdefault(model, _Known)
        for name, digest in [key for key in known.builds if key[0] == backend.name]:
            for build in known.builds.pop((name, digest)):
                with build.artifact() as folder:
                    if folder is not None:
                        self.store.discard(folder)
                build.model.close()

    def artifact(self, request: BuildRequest) -> contextlib.AbstractContextManager[Path | None]:
        """Return a context with the folder of the artifact behind ``built()``; None for a backend without any."""
        return self.build(request).artifact()

    def subject(self, request: BuildRequest) -> Subject:
        """Return what the backend was asked to build when it made ``built()``."""
        return self.build(request).subject

    def release(self) -> None:
        """Close every build and forget it."""
        for known in self._models.values():
            known.close()

    def _is_current(self, model: nn.Module, known: _Known, build: Build) -> bool:
        """Whether the model still has the weights that a build was made of, and answers as it did then."""
        if id(build) in known.trusted:
            return True
        known.stamp = known.stamp or weights_stamp(model)
        try:
            known.digests = known.digests or digests_of(Snapshot.of(model))
            same = build.stamp == known.stamp and not are_changed(build.digests, known.digests, build.state)
            same = same and alike(seeded_figures(model, build.subject.inputs), build.answers)
        except CpuaccelError:
            return False
        if same:
            known.trusted.add(id(build))
        return same

    def _make(self, *asked: Any) -> Build:
        """A fresh build, of what :meth:`_made` takes; the process is left as it was."""
        with process_kept(self.threads):
            return self._made(*asked)

    def _made(
        self,
        request: BuildRequest,
        artifact: Callable[..., contextlib.AbstractContextManager[Path | None]] | None = None,
        example: Inputs | None = None,
    ) -> Build:
        model, backend, method = request.model, request.backend, request.method
        needed = _needed(request) if example is None else example
        known = self._models.setdefault(model, _Known)
        calibration = _fitting(self._calibration_for(known, backend, needed), needed)
        answer, state, start = _observed(model, needed)
        stamp = weights_stamp(model)
        if not state.is_whole and not known.is_warned_of:
            known.is_warned_of = True
            self.say(
                f"{type(model).__name__} refers to a table of more than {TABLE:,} objects, or to very many; state that "
                "it keeps within those is neither put back nor compared"
            )
        subject = Subject(
            fresh_module=partial(_copy_of, weakref.ref(model)),
            fresh_outline=partial(_outline_of, weakref.ref(model)),
            inputs=private_inputs(needed),
            expected=answer.output,
            threads=self.threads,
            generates=method == "generate",
            options=backend.options,
            calibration=tuple(private_inputs(_needed(replace(request, inputs=item))) for item in calibration.inputs),
        )
        artifact = artifact or self._exports.artifact
        busy = self.busy(f"building {type(model).__name__} for {backend.name}")
        # Optimum's export alone collects five times.
        with busy, _named_errors(backend, state), older_objects_uncollected(), start.kept():
            with artifact(model, stamp, backend.exporters, subject, calibration) as folder:
                built = _loaded(backend, subject, folder, state)
            give_back(size_of_weights(model))
            check_built(built, self.threads, method)
        if not calibration.given:
            self.say(
                f"{backend.name}: {type(model).__name__} was calibrated on one call's own inputs; give it data by the "
                "fixture cpu_calibration or cpu_accelerate(model, calibration=...)"
            )
        return Build(
            model=replace(built, facts={**built.facts, **calibration.facts}),
            signature=inputs_signature(needed),
            subject=subject,
            artifact=partial(_artifact_of, weakref.ref(model), artifact, backend.exporters, subject, calibration),
            stamp=stamp,
            answers=figures(answer.output),
            state=state,
            digests=digests_of(start),
            returned=answer.returned,
        )

    def _calibration_for(self, known: _Known, backend: Backend, inputs: Inputs) -> Calibration:
        if not backend.calibrates:
            return NONE
        if known.calibration is None:
            known.calibration = Calibration((private_inputs(inputs),), given=False)
        return known.calibration


def _observed(model: nn.Module, inputs: Inputs) -> tuple[Answer, State, Snapshot]:
    """What eager answers, with seeded random numbers, what state a call changes, and the state that it is left in.

    What a library's class sets in a first call alone, such as hooks or a table, is state only where the answer changes.
    """

    def call() -> Answer:
        with seeded():
            return call_eager(model, "forward", inputs)

    with untouched(model) as start:
        imported = set(sys.modules)
        note_scripted_functions(model, start.scripted)
        glance, versions = Glance.at(model.parameters()), _versions(model)
        answer = tree.clone(call())
        # All weights are looked at once, after the second call.
        is_quiet = glance.is_what_it_was() and _versions(model) == versions
        touched, written = start.changed_attributes(), [] if is_quiet else start.changed_parameters()
        outside = start.changed_outside()
        between = Snapshot.of(model, None if written else start.parameters)
        note_scripted_functions(model, between.scripted)
        again = call()
        _check_imports(model, between.changed_outside(), set(sys.modules) - imported)
        owners = dict(model.named_modules())
        rewritten = between.changed_parameters()
        start.settle(bool(written or rewritten or start.changed_parameters_outside()))
        attributes = dict.fromkeys((*between.changed_attributes(), *rewritten))
        touched += written
        is_other = not alike(figures(answer.output), figures(again.output))
        attributes |= dict.fromkeys(item for item in touched if is_other or is_project_code(type(owners[item[0]])))
        names = [f"'{name}' of {type(owners[owner]).__name__}" for owner, name in attributes]
        names += dict.fromkeys((*outside, *between.changed_outside()))
        if is_other:
            start.restore()
            _check_restored(model, call, figures(answer.output))
    state = State(tuple(names), tuple(attributes), frozenset(touched), frozenset(outside), start.is_whole)
    return answer, state, start.settled()


def _versions(model: nn.Module) -> list[int]:
    """How often torch's own operations wrote to each parameter."""
    return [0 if item.is_inference() else item._version for item in model.parameters()]


def _check_imports(model: nn.Module, changed: Iterable[str], imported: Collection[str]) -> None:
    """Check that no module keeps state of which nobody knows how it began, since the first call imported it.

    Raises:
        EagerError: one does.
    """
    for name in changed:
        if (module := name.rpartition(" of ")[2]) in imported:
            raise EagerError(
                f"eager_model: {type(model).__name__} keeps state in {name}, which its first call imports, so that no "
                f"second run begins where the first did; import {module} at the top of the file"
            )


def _check_restored(model: nn.Module, call: Callable[[], Answer], first: Figures) -> None:
    """Check of a model, given the state that it had before a call, that it answers as it did then.

    Raises:
        EagerError: it doesn't, and keeps state that can't be put back.
    """
    if alike(figures(call().output), first):
        return
    if lost := lost_state(model, call):
        raise EagerError(
            f"eager_model: {type(model).__name__} keeps state from call to call in {', '.join(lost)}, which can't be "
            "put back, so that no second run begins where the first did; keep it in a buffer or an attribute"
        )


def _loaded(backend: Backend, subject: Subject, folder: Path | None, state: State) -> BuiltModel:
    """What a backend loads, in the state that the model has: calls that prove a build would leave another."""
    copies: list[tuple[nn.Module, dict[tuple[str, str], Any]]] = []

    def fresh_module() -> nn.Module:
        module = subject.fresh_module()
        owners = dict(module.named_modules())
        kept = {
            (owner, name): deep_copy(getattr(owners[owner], name, _ABSENT))
            for owner, name in state.attributes
            if owner in owners
        }
        copies.append((module, kept))
        return module

    built = backend.load(replace(subject, fresh_module=fresh_module) if state.attributes else subject, folder)
    for module, kept in copies:
        owners = dict(module.named_modules())
        for (owner, name), value in kept.items():
            if owner in owners:
                _put(owners[owner], name, value)
    return built


def _put(owner: nn.Module, name: str, value: Any) -> None:
    """Give an attribute a value; a tensor in the type that the backend gave it, and in place where it has the shape."""
    present = getattr(owner, name, None)
    if value is _ABSENT:
        if hasattr(owner, name):
            delattr(owner, name)
        return
    if isinstance(value, torch.Tensor) and isinstance(present, torch.Tensor):
        if present.shape == value.shape:
            present.data.copy_(value)
            return
        value = value.to(present.dtype)
    setattr(owner, name, value)


def _copy_of(model: weakref.ref[nn.Module]) -> nn.Module:
    return private_copy(_alive(model))


def _outline_of(model: weakref.ref[nn.Module]) -> nn.Module:
    return private_outline(_alive(model))


def _artifact_of(
    model: weakref.ref[nn.Module],
    artifact: Callable[..., contextlib.AbstractContextManager[Path | None]],
    exporters: Sequence[Backend],
    subject: Subject,
    calibration: Calibration,
) -> contextlib.AbstractContextManager[Path | None]:
    found = _alive(model)
    return artifact(found, weights_stamp(found), exporters, subject, calibration)


def _alive(model: weakref.ref[nn.Module]) -> nn.Module:
    found = model()
    if found is None:
        raise BuildError("the model that this was built from is gone")
    return found


def _fitting(calibration: Calibration, inputs: Inputs) -> Calibration:
    """Return the user's data. If it was improvised from a call of another signature, use this call's inputs instead."""
    if calibration.given or inputs_signature(calibration.inputs[0]) == inputs_signature(inputs):
        return calibration
    return Calibration((private_inputs(inputs),), given=False)


def _serves(built: BuiltModel, method: Method) -> bool:
    return built.generate is not None if method == "generate" else not built.lacks


def _needed(request: BuildRequest) -> Inputs:
    return forward_inputs(request.model, request.inputs) if request.method == "generate" else request.inputs


@contextlib.contextmanager
def _named_errors(backend: Backend, state: State) -> Iterator[None]:
    """Put the backend's name before what goes wrong in it, and make it an error of ours; tell of the model's state."""
    names = ", ".join(state.names) if backend.exporters else ""
    kept = f" (the model keeps state from call to call: {names})" if names else ""
    try:
        with upstream.contained():
            yield
    except CpuaccelError as error:
        raise type(error)(f"{backend.name}: {str(error).removeprefix(f'{backend.name}: ')}{kept}") from error
