"""The first wrong module, from modules that a backend builds alone: those of a wrong one, down to a leaf."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
            expected=eager.rounded[path].output,
            threads=subject.threads,
            options=subject.options,
        )
        with tempfile.TemporaryDirectory(prefix="cpuaccel-") as folder, upstream.contained():
            if backend.exporters:
                export_in_turn(backend.exporters, own, Path(folder))
            built = backend.load(own, Path(folder) if backend.exporters else None)
            try:
                return tree.clone(rehearse(built.forward, inputs))
            finally:
                built.close()

    return feed


@dataclass
class Descent:
    """Feeds modules one by one with what eager's own took. ``until`` is a time of ``time.monotonic()``."""

    eager: EagerModules
    feed: Feed
    until: float
    unknown: int = 0
    growth: list[ModuleError] = field(default_factory=list)
    is_late: bool = False

    def first(self, method: str) -> Localization:
        """Return the smallest module that is wrong alone."""
        found: tuple[ModuleCall, TensorError] | None = None
        place = ""
        while (part := self._first_wrong_part(place)) is not None:
            found, place = part, part[0].place
        growth, note = tuple(self.growth), self._note(place)
        method = f"{len(growth)} {method}"
        if found is None:
            return Localization(growth=growth, method=method, note=note)
        call, error = found
        actual, expected = error.worst()
        return Localization(
            module=call.place,
            type=call.type,
            starts_inside=True,
            at_output=error.ratio,
            at_input=0.0,
            actual=actual,
            expected=expected,
            growth=growth,
            method=method,
            note=note,
        )

    def _first_wrong_part(self, place: str) -> tuple[ModuleCall, TensorError] | None:
        for call in self.eager.parts_of(place):
            if call.place != call.path:
                continue
            if time.monotonic() > self.until:
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

    def _error_alone(self, call: ModuleCall) -> TensorError | None:
        try:
            output = self.feed(call.path, self.eager.rounded[call.place].inputs)
        except CpuaccelError:
            return None
        return self.eager.error_of(call.place, output)

    def _note(self, place: str) -> str:
        parts = self.eager.parts_of(place)
        if self.is_late:
            return f"not all modules were tried: {SECONDS:.0f} s were over"
        if self.unknown:
            return f"{self.unknown} of its modules can't be built alone" if place else "not all can be built alone"
        if not parts:
            return ""
        first, last = parts[0].place, parts[-1].place
        whose = place or self.eager.root.type
        between = f"a fusion between {first} and {last}" if first != last else f"a fusion with {first}"
        return f"each module of {whose} is right alone: the fault lies in {whose}'s own operations, or in {between}"
