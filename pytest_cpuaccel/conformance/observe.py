"""Observe a backend: have it build the samples, call the builds, and record the events."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.requirements import unmet_requirement
from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.builder.private_copy import private_copy, private_outline
from pytest_cpuaccel.conformance import model_snapshot, open_resources, process_state
from pytest_cpuaccel.conformance.build import build
from pytest_cpuaccel.conformance.example_model import Sample, samples
from pytest_cpuaccel.conformance.observation import (
    Altered,
    Answered,
    Belonging,
    Built,
    Doing,
    Event,
    Failed,
    Observation,
    Refused,
    Warned,
)
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.gc_freeze import older_objects_uncollected
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache

LOADS_WATCHED = 2
"""The number of loads after which open resources are counted; a leak grows with each load."""


def observe(
    backend: Backend, folder: Path, seen_on: Iterable[Sample] | None = None, bases: Path | None = None
) -> Observation:
    """Return the events of a backend with each sample; exports go to ``folder``, which is empty.

    Variants of one base that share a folder ``bases`` have the base export each sample once.

    Raises:
        BackendUnavailableError: its packages are not installed, or don't import.
    """
    unmet = unmet_requirement(backend)
    if unmet:
        raise BackendUnavailableError(unmet)
    events: list[Event] = []
    with _threads_restored(), _temporary_files_in(folder / "temporary"), older_objects_uncollected(), _silence():
        for sample in samples() if seen_on is None else seen_on:
            events += _noted(sample, _Observer(backend, sample, folder / sample.name, bases))
    return Observation(backend, tuple(events))


class _Observer:
    """Observes one backend with one sample; ``doing`` is the current step."""

    def __init__(self, backend: Backend, sample: Sample, folder: Path, bases: Path | None) -> None:
        self.doing = Doing.BUILD
        self._backend = backend
        self._sample = sample
        self._folder = folder
        self._bases = bases
        self._cache = ReferenceCache()

    def watch(self) -> Iterator[Event]:
        model, others = self._sample.make(0), self._sample.make(1)
        before = model_snapshot.snapshot_of(model)
        subject = _subject(model, self._backend, self._sample.inputs, threads=1)
        torch.set_num_threads(1)
        first = self._build(subject, "first")
        yield self._built(first, subject)
        yield from self._calls(first, model)

        self.doing = Doing.OTHER_WEIGHTS
        torch.set_num_threads(2)
        other = _subject(others, self._backend, self._sample.inputs, threads=2)
        second = self._build(other, "second")
        yield self._built(second, other)
        yield from self._asked(second, others, self._sample.inputs)
        second.close()
        torch.set_num_threads(1)

        self.doing = Doing.FIRST_AFTER_OTHER
        yield from self._asked(first, model, self._sample.inputs)
        first.close()
        del first, second

        self.doing = Doing.SECOND_LOAD
        yield from self._loads(subject, model)
        for change in model_snapshot.changes(before, model_snapshot.snapshot_of(model)):
            yield self._altered(Belonging.REFERENCE, change)

    def _build(self, subject: Subject, which: str) -> BuiltModel:
        return build(self._backend, subject, self._folder / which, self._bases)

    def _calls(self, built: BuiltModel, model: nn.Module) -> Iterator[Event]:
        self.doing = Doing.CALL
        answer = None
        for event in self._asked(built, model, self._sample.inputs):
            answer = event.actual if isinstance(event, Answered) else answer
            yield event
        kept = tree.clone(without_state(answer))
        self.doing = Doing.SAME_CALL
        yield from self._asked(built, model, self._sample.inputs)
        if built.accepts(Inputs(kwargs=self._sample.other)):
            self.doing = Doing.OTHER_BATCH
            yield from self._asked(built, model, self._sample.other)
        if not _equal(kept, without_state(answer)):
            yield self._altered(Belonging.ANSWER, "its values changed with a later call: clone what is returned")

    def _asked(self, built: BuiltModel, model: nn.Module, kwargs: Mapping[str, torch.Tensor]) -> Iterator[Event]:
        given = tree.clone(dict(kwargs))
        with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            actual = built.forward(**given)
        yield from (Warned(self._sample.name, self.doing, f"{w.category.__name__}: {w.message}") for w in caught)
        inputs = Inputs(kwargs=tree.clone(dict(kwargs)))
        references = self._cache.references(model, Call("forward", inputs, None), self._backend.precision)
        yield Answered(self._sample.name, self.doing, inputs, actual, references)
        for name, tensor in kwargs.items():
            if not torch.equal(given[name], tensor):
                yield self._altered(Belonging.INPUTS, f"{name!r} was written to")

    def _loads(self, subject: Subject, model: nn.Module) -> Iterator[Event]:
        folder = self._folder / "first" if self._backend.exporters else None
        files = _digests(folder)
        counted = [open_resources.counted(Path(tempfile.gettempdir()))]
        for _ in range(LOADS_WATCHED):
            before = process_state.state_now()
            built = self._backend.load(subject, folder)
            yield from self._asked(built, model, self._sample.inputs)
            built.close()
            for change in process_state.differences(before, process_state.state_now()):
                yield self._altered(Belonging.PROCESS, change)
            del built
            counted.append(open_resources.counted(Path(tempfile.gettempdir())))
        for change in open_resources.growth(tuple(counted)):
            yield self._altered(Belonging.MACHINE, change)
        for name in sorted(_digests(folder) ^ files):
            yield self._altered(Belonging.EXPORT, f"{name[0]} was written, altered or removed")

    def _built(self, built: BuiltModel, subject: Subject) -> Built:
        return Built(
            self._sample.name,
            self.doing,
            threads=subject.threads,
            read_back=built.threads,
            facts=built.facts,
            accepted=built.accepts(subject.inputs),
        )

    def _altered(self, belonging: Belonging, change: str) -> Altered:
        return Altered(self._sample.name, self.doing, belonging, change)


def _noted(sample: Sample, observer: _Observer) -> Iterator[Event]:
    """Yield the events, and at last the exception that ended them."""
    try:
        yield from observer.watch()
    except BackendUnavailableError:
        raise
    except Exception as error:
        if isinstance(error, BuildError) and observer.doing is Doing.BUILD:
            yield Refused(sample.name, observer.doing, str(error))
        else:
            yield Failed(sample.name, observer.doing, reason(error))


def _subject(model: nn.Module, backend: Backend, kwargs: Mapping[str, torch.Tensor], threads: int) -> Subject:
    inputs = Inputs(kwargs=tree.clone(dict(kwargs)))
    return Subject(
        fresh_module=lambda: private_copy(model),
        fresh_outline=lambda: private_outline(model),
        inputs=inputs,
        expected=tree.clone(run_eager(model, "forward", inputs)),
        threads=threads,
        options=backend.options,
        calibration=(inputs,) if backend.calibrates else (),
    )


def _equal(one: Any, other: Any) -> bool:
    return all(map(torch.equal, tree.tensors(one), tree.tensors(other)))


def _digests(folder: Path | None) -> set[tuple[str, str]]:
    if folder is None:
        return set()
    files = (path for path in folder.rglob("*") if path.is_file())
    return {(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


@contextlib.contextmanager
def _threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop warnings of builds, as the plugin does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Use a temporary folder of our own, because other processes use the machine's."""
    folder.mkdir(parents=True)
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        os.environ.pop("TMPDIR")
        if variable is not None:
            os.environ["TMPDIR"] = variable
