"""A stable: where builds of the models are made ready to race."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gates.contest import Contest
from benchmarks.gates.models import MODELS, Example
from benchmarks.gates.work import Work, with_work
from pytest_cpuaccel.backends.registry import register
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.progress import say_nothing
from pytest_cpuaccel.measure.latency.side import Sides, local_sides
from pytest_cpuaccel.measure.latency.turn import TimedCall

_CACHE_BYTES = 10**10


class Stable:
    """Builds with one thread by the plugin's own workshop; ``cache`` keeps exports between processes."""

    def __init__(self, cache: Path) -> None:
        torch.set_num_threads(1)
        self._backends = register([])
        store = ArtifactStore(cache, _CACHE_BYTES)
        self._builder = Builder(store, 1, say_nothing, lambda _: contextlib.nullcontext())
        self._example: Callable[[str], Example] = functools.cache(lambda model: MODELS[model]())

    def bare_call(self, model: str, backend: str, opened: contextlib.ExitStack) -> TimedCall:
        """Return a call of a build made now, which is closed with ``opened``.

        Raises:
            BuildError: the backend can't build this model.
        """
        example = self._example(model)
        built = self._builder.build_anew(
            BuildRequest(example.model, self._backends[backend], "forward", example.inputs)
        )
        opened.callback(built.close)
        return functools.partial(built.forward, *example.inputs.args, **example.inputs.kwargs)

    def call(self, model: str, backend: str, work: Work, opened: contextlib.ExitStack) -> TimedCall:
        """Return the like with extra work in it."""
        return with_work(self.bare_call(model, backend, opened), work)

    def sides(self, contest: Contest, opened: contextlib.ExitStack) -> Sides:
        """Return two separate builds, each with its work."""
        return local_sides(
            self.call(contest.model, contest.backend, contest.candidate, opened),
            self.call(contest.model, contest.backend, contest.reference, opened),
        )
