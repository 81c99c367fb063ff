"""A comparison: a workload that was timed today, and its result in the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.core.backend import Backend, Requirement
from pytest_cpuaccel.core.baseline import Baseline, SavedResult
from pytest_cpuaccel.core.measurement.baseline import RatioMeasurement
from pytest_cpuaccel.core.measurement.latency import LatencyMeasurement
from pytest_cpuaccel.machine.cpu import this_machine

_ALWAYS = ("pytest-cpuaccel", "torch", "transformers")
"""Distributions that every backend's speed may hang on."""


@dataclass(frozen=True)
class BaselineComparison:
    """``latency`` is what was measured today under ``backend`` with ``threads``, ``result`` what the baseline has.

    ``against_itself`` tells that a ratio today is one of the backend to itself.
    """

    baseline: Baseline
    result: SavedResult
    latency: LatencyMeasurement
    backend: Backend
    threads: int
    against_itself: bool = False

    @property
    def on_another_cpu(self) -> bool:
        """Tell whether the baseline was saved on another model of CPU."""
        return self.baseline.cpu != this_machine().cpu

    @property
    def has_comparable_times(self) -> bool:
        """Tell whether times of the baseline can be compared with today's as they are."""
        same_isa = self.baseline.isa == this_machine().isa
        return same_isa and not self.on_another_cpu and self.baseline.threads == self.threads

    @property
    def lacking_instructions(self) -> list[str]:
        """Return the vector instructions that the artifact was made for and this CPU lacks."""
        return [name for name in self.baseline.isa if name not in this_machine().isa]

    def changes(self) -> list[str]:
        """Return what changed since, other than the artifact, that may make figures differ."""
        old = self.baseline
        names = dict.fromkeys((*_ALWAYS, *self.backend.versions))
        versions = [(name, old.versions.get(name), Requirement(name).installed) for name in names]
        found = [f"{name} {before or 'absent'} -> {now or 'absent'}" for name, before, now in versions if before != now]
        return found if old.threads == self.threads else [*found, f"threads {old.threads} -> {self.threads}"]

    def why_no_ratio(self) -> str:
        """Return why ratios can't be compared; "" where they can."""
        if self.against_itself:
            return "it has no artifact to race, and its ratio to itself says nothing"
        if self.latency.vs != self.result.versus:
            return f"its ratio is to {self.latency.vs} now and was to {self.result.versus}"
        if self.baseline.isa != this_machine().isa:
            return "on a CPU with other vector instructions ratios differ by themselves"
        if self.baseline.threads != self.threads:
            return f"with {self.baseline.threads} threads then and {self.threads} now ratios differ by themselves"
        if self.latency.race is None or self.result.ratio is None:
            return "its calls were too slow to race"
        return ""

    def by_ratio(self) -> RatioMeasurement:
        """Return today's ratio over the saved one, which both must be there for."""
        assert self.latency.race is not None
        assert self.result.ratio is not None
        now, then = self.latency.race.estimate, self.result.ratio
        times = (None, None) if self.on_another_cpu else (self.latency.p50_ns, self.result.p50_ns)
        return RatioMeasurement(now.over(then), now, then, self.latency.vs, *times, self.on_another_cpu)
