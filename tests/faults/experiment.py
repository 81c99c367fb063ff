"""An experiment: one model under one backend, held to eager as a user's test would hold it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.backends.toolkit.run_once import rehearse
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.core.rounding import BARS
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.evaluation.test import evaluate
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.leaves import pair_leaves
from pytest_cpuaccel.measure.parity.mask import mask_for, valid_elements
from pytest_cpuaccel.recording.cpu_model import CpuModel, calls_of, start_of
from pytest_cpuaccel.report.failure import failure_text

FLOOR = BARS[Precision.FP32].floor


@dataclass(frozen=True)
class Experiment:
    """``calls`` are inputs of ``method``, the first of which a backend builds for; ``cache`` takes its exports."""

    model: nn.Module
    calls: tuple[Inputs, ...]
    reference_cache: ReferenceCache
    cache: Path = Path("unused")
    method: Method = "forward"

    def blame(self, backend: Backend) -> str | None:
        """Return what the plugin has against a backend: an error's text or failing verdicts; None where it has nothing.

        INCONCLUSIVE is no blame, and no fault caught.
        """
        return self._said(backend, Outcome.FAIL)

    def doubt(self, backend: Backend) -> str | None:
        """Return an error's text, or what the plugin says of a backend that it can't judge; None where it can."""
        return self._said(backend, Outcome.INCONCLUSIVE)

    def _said(self, backend: Backend, outcome: Outcome) -> str | None:
        builder = Builder(ArtifactStore(self.cache, 10**9), torch.get_num_threads(), str, _at_rest)
        recorder: Any = CpuModel(self.model, backend, builder)
        try:
            for inputs in self.calls:
                given = inputs.clone()
                getattr(recorder, self.method)(*given.args, **given.kwargs)
        except BuildError as refusal:
            return str(refusal)
        budgets = Budgets(parity=ParityBudget())
        calls, start = calls_of(recorder), start_of(recorder)
        evaluation = Evaluation(self.model, self.model, backend, EAGER, calls, Scores(), budgets, start=start)
        context = EvaluationContext(builder, self.reference_cache, contextlib.nullcontext, RaceConfig())
        verdicts = [verdict for result in evaluate(evaluation, context) for verdict in result.verdicts]
        found = [verdict for verdict in verdicts if verdict.outcome is outcome]
        return failure_text([Result("", "", "", tuple(found))], outcome) or None

    def is_refused_by(self, backend: Backend) -> bool:
        """Tell whether a backend does not take the model."""
        subject = Subject(
            lambda: private_copy(self.model), self.calls[0], run_eager(self.model, "forward", self.calls[0]), 1
        )
        try:
            backend.load(subject, None)
        except BuildError:
            return True
        return False

    def is_affected_by(self, backend: Backend) -> bool:
        """Tell whether a backend would answer otherwise than eager even if no arithmetic were rounded.

        Both run in float64; what counts as otherwise is a difference larger than eager's own rounding in float32,
        and larger than the floor below which no error is held against a backend.
        """
        module = private_copy(self.model).double()
        exact = [Inputs(call.args, tree.cast_floats(dict(call.kwargs), torch.float64)) for call in self.calls]
        expected = [run_eager(module, "forward", call) for call in exact]
        subject = Subject(lambda: private_copy(module), exact[0], expected[0], torch.get_num_threads())
        try:
            built = backend.load(subject, None)
            answers = [rehearse(built.forward, call) for call in exact]
        except Exception:
            return True
        rounded = [run_eager(self.model, "forward", call) for call in self.calls]
        return any(map(_differs, answers, expected, rounded, self.calls))


def _differs(actual: Any, expected: Any, rounded: Any, inputs: Inputs) -> bool:
    pairing = pair_leaves(without_state(actual), without_state(expected), without_state(rounded))
    if pairing.missing or pairing.extra:
        return True
    names = [pair.name for pair in pairing.pairs]
    for pair in pairing.pairs:
        if pair.actual.shape != pair.expected.shape:
            return True
        valid = valid_elements(pair.name, pair.expected.shape, mask_for(pair.name, inputs, None, names))
        off, own = (_error(side[valid], pair.expected[valid]) for side in (pair.actual, pair.expected64))
        if not off <= max(own, FLOOR):
            return True
    return False


def _error(values: torch.Tensor, reference: torch.Tensor) -> float:
    return error.relative_rmse(values.double(), reference.double())


@contextlib.contextmanager
def _at_rest(text: str) -> Any:  # noqa: ARG001
    yield


def experiment(model: nn.Module, calls: Sequence[Inputs], method: Method = "forward") -> Experiment:
    """Return an experiment whose references are computed once for all backends."""
    return Experiment(model, tuple(calls), ReferenceCache(), method=method)
