"""The trial of one architecture under one backend, from which a cell is made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.tools.upstream import reason
from pytest_cpuaccel.build.workshop import Workshop
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.errors import BackendUnavailableError, BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.generation import compare_generated
from pytest_cpuaccel.judge.reference import ReferenceBook
from pytest_cpuaccel.matrix.architecture import Architecture
from pytest_cpuaccel.matrix.cell import Cell, Status, worst
from pytest_cpuaccel.measure.parity.comparison import Comparison, compare

GREEDY: Mapping[str, Any] = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
OTHER_BATCH, OTHER_LENGTH = 3, 7


@dataclass(frozen=True)
class Trial:
    """One model under one backend; every model of an architecture is the same."""

    architecture: Architecture
    model: nn.Module
    backend: Backend
    workshop: Workshop
    book: ReferenceBook

    def cell(self) -> Cell:
        """Return what became of it: the worst of the calls tried; after a refused first call no other is tried."""
        began = time.perf_counter()
        found = list(self._found())
        status = worst(item.status for item in found)
        reasons = [item.reason for item in found if item.status is status and item.reason]
        figure = "" if status is Status.UNSUPPORTED else found[0].figure
        seconds = round(time.perf_counter() - began, 2)
        return Cell(self.architecture.name, self.backend.name, status, figure, "; ".join(reasons), seconds)

    def _found(self) -> Iterator[_Found]:
        inputs = self.architecture.inputs(self.model)
        first = self._tried("", "forward", inputs)
        yield first
        if first.status is Status.LIMITED:
            yield _Found(Status.UNSUPPORTED, first.reason)
            return
        yield self._tried("another shape", "forward", self.architecture.inputs(self.model, OTHER_BATCH, OTHER_LENGTH))
        if self.architecture.is_transformer:
            yield self._tried("output_hidden_states", "forward", _with(inputs, {"output_hidden_states": True}))
        if self.architecture.generates:
            yield self._tried("generate()", "generate", _with(_prompt(inputs), GREEDY))

    def _tried(self, label: str, method: Method, inputs: Inputs) -> _Found:
        """What one call showed; LIMITED where it was refused."""
        said = f"{label}: " if label else ""
        try:
            comparison = self._compared(method, inputs)
        except (BuildError, BackendUnavailableError) as refusal:
            return _Found(Status.LIMITED, f"{said}{str(refusal).removeprefix(f'{self.backend.name}: ')}")
        except Exception as error:
            return _Found(Status.CRASH, f"{said}{reason(error)}")
        if comparison.outcome is Outcome.PASS:
            return _Found(Status.RIGHT, figure=comparison.figure)
        return _Found(Status.WRONG, f"{said}{comparison.sentence}", comparison.figure)

    def _compared(self, method: Method, inputs: Inputs) -> Comparison:
        built = self.workshop.built(self.model, self.backend, method, inputs)
        rng_state = torch.get_rng_state()
        run = built.generate if method == "generate" else built.forward
        with torch.no_grad():
            output = run(*tree.clone(inputs.args), **tree.clone(dict(inputs.kwargs)))  # type: ignore[misc]
        call = Call(method, inputs, tree.clone(output), rng_state)
        if method == "generate":
            return compare_generated(call, self.model, self.backend, self.workshop)
        references = self.book.references(self.model, call, self.backend.precision)
        return compare(call.output, references, inputs=inputs, precision=self.backend.precision, budget=ParityBudget())


@dataclass(frozen=True)
class _Found:
    status: Status
    reason: str = ""
    figure: str = ""


def _with(inputs: Inputs, more: Mapping[str, Any]) -> Inputs:
    return Inputs(inputs.args, {**inputs.kwargs, **more})


def _prompt(inputs: Inputs) -> Inputs:
    """The inputs of a forward call without what ``generate()`` makes by itself."""
    return Inputs(inputs.args, {n: value for n, value in inputs.kwargs.items() if not n.startswith("decoder_")})
