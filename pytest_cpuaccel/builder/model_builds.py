"""The builds of one model object, and what is known of the model as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from pytest_cpuaccel.builder.build import Build
from pytest_cpuaccel.builder.calibration import NONE, Calibration
from pytest_cpuaccel.builder.example_record import alike, seeded_figures
from pytest_cpuaccel.builder.fingerprint import inputs_signature, weights_stamp
from pytest_cpuaccel.builder.keep_fp32 import NOTHING, KeepFp32
from pytest_cpuaccel.builder.state.digest import Digests, are_changed, digests_of
from pytest_cpuaccel.builder.state.snapshot import Snapshot
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs


@dataclass(frozen=True)
class BuildKey:
    """``backend`` by name, the digest of its ``calibration`` data, and what stays in fp32: patterns and their paths."""

    backend: str
    calibration: str
    keep_fp32: frozenset[tuple[str, tuple[str, ...]]]


@dataclass
class ModelBuilds:
    """The builds of one model by what they depend on beside it; those in ``trusted`` are current.

    ``stamp`` and ``digests`` are those of the model as it is now, once they were asked for. The model itself is not
    held, so that builds go with it.
    """

    builds: dict[BuildKey, list[Build]] = field(default_factory=dict)
    calibration: Calibration | None = None
    keep_fp32: KeepFp32 = NOTHING
    trusted: set[int] = field(default_factory=set)
    stamp: str | None = None
    digests: Digests | None = None
    is_warned_of: bool = False

    def distrust(self) -> None:
        """Take nothing for granted any more: builds are checked before they are used again.

        Builds of a model that keeps state are dropped, so that the next ones start where the model stands now.
        """
        self.trusted.clear()
        self.stamp = self.digests = None
        for key, builds in self.builds.items():
            self.builds[key] = [build for build in builds if not build.state.names]
            for build in builds:
                if build.state.names:
                    build.model.close()

    def current(self, model: nn.Module, key: BuildKey) -> Iterator[Build]:
        """Yield the builds of a key that are still right; the others are closed and dropped."""
        builds = self.builds.setdefault(key, [])
        for build in [*builds]:
            if self._is_current(model, build):
                yield build
            else:
                builds.remove(build)
                build.model.close()

    def keep(self, key: BuildKey, build: Build) -> None:
        """Keep a build that was made just now."""
        self.builds.setdefault(key, []).append(build)
        self.trusted.add(id(build))

    def take(self, backend: Backend) -> Iterator[Build]:
        """Yield the builds of a backend, which are forgotten."""
        for key in [key for key in self.builds if key.backend == backend.name]:
            yield from self.builds.pop(key)

    def close(self) -> None:
        """Close all builds and forget them."""
        for builds in self.builds.values():
            for build in builds:
                build.model.close()
        self.builds.clear()

    def calibration_for(self, backend: Backend, inputs: Inputs) -> Calibration:
        """Return the data for a backend: the user's, or else the inputs of the first call that needs any."""
        if not backend.calibrates:
            return NONE
        if self.calibration is None:
            self.calibration = Calibration((private_inputs(inputs),), given=False)
        return self.calibration

    def _is_current(self, model: nn.Module, build: Build) -> bool:
        """Whether the model still has the weights that a build was made of, and answers as it did then."""
        if id(build) in self.trusted:
            return True
        self.stamp = self.stamp or weights_stamp(model)
        try:
            self.digests = self.digests or digests_of(Snapshot.of(model))
            same = build.stamp == self.stamp and not are_changed(build.digests, self.digests, build.state)
            same = same and alike(seeded_figures(model, build.subject.inputs), build.answers)
        except CpuaccelError:
            return False
        if same:
            self.trusted.add(id(build))
        return same


def fitting(calibration: Calibration, inputs: Inputs) -> Calibration:
    """Return the user's data. If it was improvised from a call of another signature, use this call's inputs instead."""
    if calibration.given or inputs_signature(calibration.inputs[0]) == inputs_signature(inputs):
        return calibration
    return Calibration((private_inputs(inputs),), given=False)
