"""A session: the objects that live as long as a run, which are builds, references and the machine's lock."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import platformdirs
from torch import nn

from pytest_cpuaccel.baselines.settings import NO_BASELINES, BaselineSettings
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.compiled_models import without_compiler
from pytest_cpuaccel.builder.load_model import eager_model_of
from pytest_cpuaccel.builder.process_state import on_threads
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.progress import say_nothing
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.localizing import Localize, Localizing
from pytest_cpuaccel.evaluation.models_under_test import ModelsUnderTest
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.machine.lock import MachineLock
from pytest_cpuaccel.measure.latency.config import RaceConfig

_CACHE = "pytest-cpuaccel-1"
"""The plugin's own folder within the user's cache folder; another layout gets another number."""
_REST_S = 30.0
"""How long a timing is left alone by the thread that shows progress; most report themselves."""


class Telling(Protocol):
    """What is told of slow work: ``busy(text)`` from its begin to its end, ``show(text)`` in between.

    Work that a thread would disturb has it rest for ``rest_s`` between two looks.
    """

    def busy(self, text: str, rest_s: float = 0.0) -> contextlib.AbstractContextManager[None]: ...

    def show(self, text: str) -> None: ...


@dataclass(frozen=True)
class SessionSettings:
    """``cache_dir`` is None for the user's own cache folder; ``task`` is that of models given by folder or hub id."""

    threads: int
    task: str | None
    cache_dir: Path | None
    cache_limit_bytes: int
    cache_verify: bool
    wait_s: float
    baselines: BaselineSettings = NO_BASELINES
    localize: Localize = "off"


@dataclass
class Session:
    """``notes`` are lines for the user that belong to no verdict; the test that caused them reports them.

    ``show`` gets lines on slow work.
    """

    context: EvaluationContext
    task: str | None
    notes: list[str]
    show: Callable[[str], None] = say_nothing
    _loaded: dict[str, nn.Module] = field(default_factory=dict)

    def models(self, backend: Backend) -> ModelsUnderTest:
        """Return the models of one test."""
        return ModelsUnderTest(backend, self.context.builder, self.model, show=self.show)

    def on_threads(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which torch runs on the session's number of threads."""
        return on_threads(self.context.builder.threads)

    def model(self, source: object, of: str) -> nn.Module:
        """Return the eager model of a module, folder or hub id; each is loaded once.

        ``of`` is the user's name for it, for messages.

        Raises:
            UsageError: there is no such model.
            EagerError: the model can't be a reference.
        """
        if isinstance(source, nn.Module):
            plain = without_compiler(source)
            if plain is not source:
                self.notes.append(f"{of}: torch.compile's wrapper was left out; its original is the eager model")
            return eager_model_of(plain, of=of)
        if not isinstance(source, (str, os.PathLike)):
            return eager_model_of(source, of=of)
        name = os.fspath(source)
        if name not in self._loaded:
            self._loaded[name] = eager_model_of(name, self.task, of=of, say=self.notes.append)
        return self._loaded[name]

    def take_notes(self) -> list[str]:
        """Return the notes since the last time."""
        taken, self.notes[:] = list(self.notes), []
        return taken


def open_session(settings: SessionSettings, progress: Telling, lock: MachineLock) -> Session:
    """Return a session under these settings; nothing is built yet."""
    notes: list[str] = []
    root = settings.cache_dir or platformdirs.user_cache_path("pytest-cpuaccel")
    store = ArtifactStore(
        root / _CACHE, settings.cache_limit_bytes, settings.wait_s, progress.busy, settings.cache_verify, lock.count
    )
    builder = Builder(store, settings.threads, notes.append, progress.busy)
    race = RaceConfig(threads=settings.threads, progress=lambda text: progress.show(f"timing: {text}"))
    alone = functools.partial(_alone, lock, progress)
    context = EvaluationContext(
        builder, ReferenceCache(), alone, race, settings.baselines, localizing=Localizing(settings.localize)
    )
    return Session(context, settings.task, notes, progress.show)


@contextlib.contextmanager
def _alone(lock: MachineLock, progress: Telling) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        with progress.busy("waiting for the machine to be free", math.inf):
            held.enter_context(lock.alone(progress.show))
        with progress.busy("timing", _REST_S):
            yield
