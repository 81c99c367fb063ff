"""The tolerance lock in a run: which tolerances hold for a model, and what its outputs needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.tolerance_lock import Lock, LockKey, Need
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.generation import LOGITS

_DIGITS = 8
"""Hexadecimal digits of a model's digest: two of a class meet in one with a chance of 2**-32."""


@dataclass(frozen=True)
class ToleranceBook:
    """``locks`` are those of the file; ``needs`` collects what the outputs needed where that ``is_asked``.

    A candidate has locks of its own, in eager too. The original in eager has none.
    """

    locks: Mapping[LockKey, Lock] = field(default_factory=dict)
    is_asked: bool = False
    needs: dict[LockKey, Need] = field(default_factory=dict)

    def budget(self, budget: ParityBudget, evaluation: Evaluation) -> ParityBudget:
        """Return a mark's budget with the locks of the evaluation's model under its backend."""
        if not self.locks or not _has_locks(evaluation):
            return budget
        model, backend = _name(evaluation), evaluation.backend.name
        held = {key.output: lock for key, lock in self.locks.items() if key[:3] == (model, "forward", backend)}
        of_logits = self.locks.get(LockKey(model, "generate", backend, LOGITS))
        return replace(budget, locks=held, logits_lock=of_logits)

    def note(self, evaluation: Evaluation, method: Method, comparisons: Iterable[Comparison], verdict: Verdict) -> None:
        """Keep what the outputs of a workload's calls needed; nothing is justified where the verdict says otherwise."""
        if not _has_locks(evaluation):
            return
        model, backend, found = _name(evaluation), evaluation.backend, [*comparisons]
        versions = tuple(f"{name} {version}" for name, version in sorted(_versions(evaluation).items()))
        isa = torch.backends.cpu.get_cpu_capability()
        contradicted = verdict.outcome is Outcome.FAIL and all(item.outcome is not Outcome.FAIL for item in found)
        for comparison in found:
            for name, need in comparison.needs.items():
                key = LockKey(model, method, backend.name, name)
                told = Need(refusal=f"FAIL: {verdict.sentence}") if contradicted else need
                here = replace(told, versions=versions, isa=isa)
                self.needs[key] = self.needs[key].worse_of(here) if key in self.needs else here

    def take(self) -> dict[LockKey, Need]:
        """Return the needs since the last time."""
        taken = dict(self.needs)
        self.needs.clear()
        return taken


def _has_locks(evaluation: Evaluation) -> bool:
    return evaluation.is_of_candidate or evaluation.backend is not EAGER


def _name(evaluation: Evaluation) -> str:
    """A name for what is judged: the model; of a candidate its own and the original's."""
    original = model_name(evaluation.reference)
    return f"{model_name(evaluation.model)} for {original}" if evaluation.is_of_candidate else original


def model_name(model: nn.Module) -> str:
    """Return a name for a model in a file: its class, and a digest of its parameters' names, types and shapes.

    Weights don't count, nor do classes of submodules, which other releases of a library call otherwise.
    """
    shapes = sorted(f"{name} {value.dtype} {tuple(value.shape)}" for name, value in model.named_parameters())
    return f"{type(model).__name__}-{hashlib.sha256(chr(10).join(shapes).encode()).hexdigest()[:_DIGITS]}"


def _versions(evaluation: Evaluation) -> dict[str, str]:
    return {"torch": torch.__version__, **evaluation.backend.versions}
