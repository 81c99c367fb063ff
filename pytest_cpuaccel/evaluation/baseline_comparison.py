"""A comparison: a workload on evaluation, with what the baseline has on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cpuaccel.core.backend import Requirement, Scalar
from pytest_cpuaccel.core.baseline import Baseline, SavedResult
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.estimate import Estimate
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.machine.cpu import this_machine
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.recording.workload import Workload

_ALWAYS = ("pytest-cpuaccel", "torch", "transformers")
"""Distributions that every backend's speed may hang on."""


@dataclass(frozen=True)
class BaselineComparison:
    """``latency`` is today's verdict on the workload's latency, ``result`` what the baseline has on it."""

    workload: Workload
    evaluation: Evaluation
    latency: Verdict
    context: EvaluationContext
    config: RaceConfig
    baseline: Baseline
    result: SavedResult

    @property
    def call(self) -> Call:
        """Return the call that is timed."""
        return self.workload.sample

    @property
    def limit(self) -> float:
        """Return the greatest allowed latency, over that of the baseline."""
        return 1 + self.context.baselines.max_slowdown

    @property
    def ratio(self) -> Estimate | None:
        """Return today's latency over that of another backend; None for calls too slow to race."""
        return Estimate.among(self.latency.facts)

    @property
    def on_another_cpu(self) -> bool:
        """Tell whether the baseline was saved on another model of CPU."""
        return self.baseline.cpu != this_machine().cpu

    def changes(self) -> list[str]:
        """Return what changed since, other than the artifact, that may make figures differ."""
        old, threads = self.baseline, self.context.builder.threads
        names = dict.fromkeys((*_ALWAYS, *self.evaluation.backend.versions))
        versions = [(name, old.versions.get(name), Requirement(name).installed) for name in names]
        found = [f"{name} {before or 'absent'} -> {now or 'absent'}" for name, before, now in versions if before != now]
        return found if old.threads == threads else [*found, f"threads {old.threads} -> {threads}"]

    def as_long(self, ratio: Estimate) -> str:
        """Return a ratio to the baseline as a clause, with what is allowed."""
        return (
            f'{ratio.value:.2f}x as long as baseline "{self.baseline.name}" {ratio.interval(self.limit)}, '
            f"allowed {self.limit:.4g}x"
        )

    def verdict(self, outcome: Outcome, found: str, how: str, changes: Sequence[str] = (), **facts: Scalar) -> Verdict:
        """Return the verdict; ``how`` says what it stands on: "race", "ratio" or "unchanged"."""
        sentence = f"{self.evaluation.backend.name}: {self.workload.label}: {found}"
        facts = {"name": self.baseline.name, "how": how, "allowed": self.limit, **facts}
        if changes:
            sentence = f"{sentence}; changed since: {', '.join(changes)}"
            facts["changes"] = "; ".join(changes)
        return Verdict("baseline", outcome, sentence, facts)

    def note(self, text: str) -> None:
        """Say why there is no verdict."""
        self.context.builder.say(f'{self.evaluation.backend.name}: not held to baseline "{self.baseline.name}": {text}')
