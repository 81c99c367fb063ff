"""The first wrong module, from modules that a backend builds alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pytest_cpuaccel.backends.toolkit import upstream
from pytest_cpuaccel.backends.toolkit.module_calls import ModuleCall
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.export_chain import export_in_turn
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache
from pytest_cpuaccel.core.localization import Localization, ModuleError
from pytest_cpuaccel.diagnose.localize.error import LIMIT, TensorError
from pytest_cpuaccel.diagnose.localize.reference import EagerModules

SECONDS = 30.0
"""How long modules are built alone."""

Feed = Callable[[str, Inputs], Any]


def built_alone(backend: Backend, subject: Subject, eager: EagerModules) -> Feed:
    """Return a function that runs one module alone, as the backend builds it for these inputs."""

    def feed(path: str, inputs: Inputs) -> Any:
        if any(is_cache(leaf) for _, leaf in inputs.leaves()):
            raise BuildError(f"{path} takes a cache")
        model = subject.fresh_module()
        own = Subject(
            fresh_module=lambda: private_copy(model.get_submodule(path)),
            inputs=inputs,
            expected=eager.answer_of(path, inputs),
            threads=subject.threads,
            options=subject.options,
        )
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as folder, upstream.silenced():
            if backend.exporters:
                export_in_turn(backend.exporters, own, Path(folder))
            built = backend.load(own, Path(folder) if backend.exporters else None)
            try:
                return tree.clone(rehearse(built.forward, inputs))
            finally:
                built.close()

    return feed


@dataclass
class Trials:
    """Feeds modules one by one with what eager's own took, for some seconds from the first one on."""

    eager: EagerModules
    feed: Feed
    seconds: float = SECONDS
    unknown: int = 0
    growth: list[ModuleError] = field(default_factory=list)
    is_late: bool = False
    _until: float | None = None
    _tried: set[tuple[str, tuple[object, ...]]] = field(default_factory=set)

    def descend(self) -> Localization:
        """Return the smallest module that is wrong alone: first the model's parts, then those of the wrong one."""
        found: tuple[ModuleCall, TensorError] | None = None
        place = ""
        while (part := self.first_of(self._parts_of(place))) is not None:
            found, place = part, part[0].place
        note = self._note(place)
        if found is None:
            return Localization(growth=tuple(self.growth), method=self.method, note=note)
        return self.named(*found, note)

    def first_of(self, calls: Iterable[ModuleCall]) -> tuple[ModuleCall, TensorError] | None:
        """Return the first of these calls that is wrong alone, and its error; None where none is known to be."""
        for call in calls:
            if not self._is_new(call):
                continue
            self._until = self._until or time.monotonic() + self.seconds
            if time.monotonic() > self._until:
                self.is_late = True
                return None
            error = self._error_alone(call)
            if error is None:
                self.unknown += 1
                continue
            self.growth.append(ModuleError(call.place, call.type, error.error, error.rounding))
            if error.ratio > LIMIT:
                return call, error
        return None

    def named(self, call: ModuleCall, error: TensorError, note: str) -> Localization:
        """Return that a module is wrong alone."""
        actual, expected = error.worst()
        return Localization(
            module=call.place,
            type=call.type,
            starts_inside=True,
            at_output=error.ratio,
            at_input=0.0,
            actual=actual,
            expected=expected,
            growth=tuple(self.growth),
            method=self.method,
            note=note,
        )

    @property
    def method(self) -> str:
        """Return how what is known was found."""
        count = len(self.growth)
        built = f"{count} modules built alone, each" if count != 1 else "a module built alone,"
        return f"{built} given what eager's own took"

    @property
    def lateness(self) -> str:
        """Return that time was over; "" if it was not."""
        return f"not all modules were tried: {self.seconds:.0f} s were over" if self.is_late else ""

    def _parts_of(self, place: str) -> Iterator[ModuleCall]:
        """The parts of a module; behind one that can't be built alone its own."""
        for call in self.eager.parts_of(place):
            before = self.unknown
            yield call
            if self.unknown > before:
                yield from self._parts_of(call.place)

    def _is_new(self, call: ModuleCall) -> bool:
        """Tell whether a call is worth a build: it computes something, and no other like it was tried."""
        key = (call.path, tuple(_shape_of(leaf) for _, leaf in call.inputs.leaves()))
        is_new = key not in self._tried and not call.returns_what_it_took
        self._tried.add(key)
        return is_new

    def _error_alone(self, call: ModuleCall) -> TensorError | None:
        try:
            output = self.feed(call.path, self.eager.rounded[call.place].inputs)
        except CpuaccelError:
            return None
        return self.eager.error_of(call.place, output)

    def _note(self, place: str) -> str:
        parts = self.eager.parts_of(place)
        if self.is_late:
            return self.lateness
        if self.unknown:
            return f"{self.unknown} of its modules can't be built alone" if place else "not all can be built alone"
        if not parts:
            return ""
        first, last = parts[0].place, parts[-1].place
        whose = place or self.eager.root.type
        between = f"a fusion between {first} and {last}" if first != last else f"a fusion with {first}"
        return f"each module of {whose} is right alone: the fault lies in {whose}'s own operations, or in {between}"


def _shape_of(leaf: Any) -> object:
    """What shape a leaf has: of a nested tensor, which has none, those of its rows."""
    is_nested = isinstance(leaf, torch.Tensor) and leaf.is_nested
    return tuple(row.shape for row in leaf.unbind()) if is_nested else getattr(leaf, "shape", None)
