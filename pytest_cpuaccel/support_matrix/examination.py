"""The examination of one architecture under one backend; its result is a cell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.registry import EAGER
from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.calibration import Calibration
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.budget import Budgets, ParityBudget
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.comparisons import Comparisons
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.parity import evaluate_parity
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.recording.workload import workloads
from pytest_cpuaccel.support_matrix.cell import Cell, Status, worst
from pytest_cpuaccel.zoo.architecture import Architecture

GREEDY: Mapping[str, Any] = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
OTHER_BATCH, OTHER_LENGTH = 3, 7


@dataclass(frozen=True)
class Examination:
    """``model``, which ``architecture`` made, under one backend."""

    architecture: Architecture
    model: nn.Module
    backend: Backend
    context: EvaluationContext

    def cell(self) -> Cell:
        """Return the cell: the worst status of the calls tried. After a refused first call no other is tried."""
        began = time.perf_counter()
        found = list(self._found())
        status = worst(item.status for item in found)
        reasons = [item.reason for item in found if item.status is status and item.reason]
        figure = "" if status is Status.UNSUPPORTED else found[0].figure
        seconds = round(time.perf_counter() - began, 2)
        return Cell(self.architecture.name, self.backend.name, status, figure, "; ".join(reasons), seconds)

    def _found(self) -> Iterator[_Found]:
        inputs = self.architecture.inputs(self.model)
        other = self.architecture.inputs(self.model, OTHER_BATCH, OTHER_LENGTH)
        self.context.builder.calibrate(self.model, Calibration((inputs, other)))
        first = self._tried("", "forward", inputs)
        yield first
        if first.status is Status.LIMITED:
            yield _Found(Status.UNSUPPORTED, first.reason)
            return
        yield self._tried("another shape", "forward", other)
        if self.architecture.generates:
            yield self._tried("generate()", "generate", _with(_prompt(inputs), GREEDY))

    def _tried(self, label: str, method: Method, inputs: Inputs) -> _Found:
        """Return the result of one call; LIMITED if it was refused."""
        said = f"{label}: " if label else ""
        try:
            verdict = self._judged(method, inputs)
        except (BuildError, BackendUnavailableError) as refusal:
            return _Found(Status.LIMITED, f"{said}{self._unnamed(str(refusal))}")
        except Exception as error:
            return _Found(Status.CRASH, f"{said}{reason(error)}")
        found = verdict.measurement
        figure = found.figure if isinstance(found, ParitySummary) else ""
        if verdict.outcome is Outcome.PASS:
            return _Found(Status.RIGHT, figure=figure)
        if verdict.outcome is Outcome.INCONCLUSIVE:
            return _Found(Status.LIMITED, f"{said}{self._unnamed(verdict.sentence)}", figure)
        return _Found(Status.WRONG, f"{said}{self._unnamed(verdict.sentence)}", figure)

    def _judged(self, method: Method, inputs: Inputs) -> Verdict:
        built = self._built(method, inputs)
        rng_state = torch.get_rng_state()
        run, given = built.generate if method == "generate" else built.forward, inputs.clone()
        with torch.no_grad():
            output = run(*given.args, **given.kwargs)  # type: ignore[misc]
        calls = (Call(method, inputs, tree.clone(output), rng_state),)
        evaluation = Evaluation(self.model, self.model, self.backend, EAGER, calls, Scores(), Budgets())
        return evaluate_parity(workloads(calls)[0], Comparisons(evaluation, ParityBudget(), self.context))

    def _built(self, method: Method, inputs: Inputs) -> BuiltModel:
        """Return the model, calibrated on data of both shapes, or on the call's own if its graph takes only one."""
        builder = self.context.builder
        try:
            return builder.built(BuildRequest(self.model, self.backend, method, inputs))
        except UsageError:
            builder.calibrate(self.model, None)
            return builder.built(BuildRequest(self.model, self.backend, method, inputs))

    def _unnamed(self, sentence: str) -> str:
        return sentence.removeprefix(f"{self.backend.name}: ")


@dataclass(frozen=True)
class _Found:
    status: Status
    reason: str = ""
    figure: str = ""


def _with(inputs: Inputs, more: Mapping[str, Any]) -> Inputs:
    return Inputs(inputs.args, {**inputs.kwargs, **more})


def _prompt(inputs: Inputs) -> Inputs:
    """Return the inputs of a forward call without those that ``generate()`` makes by itself."""
    return Inputs(inputs.args, {n: value for n, value in inputs.kwargs.items() if not n.startswith("decoder_")})
