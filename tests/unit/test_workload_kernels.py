"""What a census says beside a slow call, and beside a comparison with a baseline."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from torch import nn

from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.budget import Budgets
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation import workload_kernels
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.kernels import census_of
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.evaluation.workload_kernels import WorkloadKernels
from pytest_cpuaccel.recording.workload import Workload
from tests.doubles import STORED, TWIN

CENSUSES = {
    "twin": KernelCensus("a profiler", (Kernel("Gelu", 1, us=5.0), Kernel("MatMul", 2, us=30.0))),
    "stored": KernelCensus("another", (Kernel("mm", 2, us=12.0),)),
}


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> WorkloadKernels:
    """Those of a workload of twin, which is compared with stored."""
    monkeypatch.setattr(workload_kernels, "census_of", lambda evaluation, *_: CENSUSES[evaluation.backend.name])
    monkeypatch.setattr(Workload, "sample", None, raising=False)
    model = nn.Identity()
    evaluation = Evaluation(model, model, TWIN, STORED, (), Scores(), Budgets())
    return WorkloadKernels(cast("Workload", Workload), evaluation, cast("EvaluationContext", None))


def latency(outcome: Outcome) -> Verdict:
    return Verdict("latency", outcome, "a sentence", ("a line",))


def test_a_slow_call_shows_the_longest_kernels_of_both_sides(kernels: WorkloadKernels) -> None:
    assert kernels.beside_latency(latency(Outcome.FAIL)).evidence == (
        "a line",
        "longest kernels of twin: MatMul x2 30 us, Gelu x1 5 us",
        "longest kernels of stored: mm x2 12 us",
    )


def test_a_fast_call_shows_none(kernels: WorkloadKernels) -> None:
    assert kernels.beside_latency(latency(Outcome.PASS)) == latency(Outcome.PASS)


def test_a_baseline_with_a_census_shows_what_changed(kernels: WorkloadKernels) -> None:
    before = replace(CENSUSES["twin"], kernels=(Kernel("Gelu", 3, us=15.0), Kernel("MatMul", 2, us=30.0)))
    verdict = kernels.beside_baseline(latency(Outcome.PASS), before, with_times=False)
    assert verdict.evidence == ("a line", "kernels: Gelu 3 -> 1")
    assert kernels.beside_baseline(latency(Outcome.PASS), None, with_times=True) == latency(Outcome.PASS)


@pytest.mark.parametrize(("state", "counted"), [(State(), ["used"]), (State(("'count'",)), ["fresh", "fresh closed"])])
def test_a_build_whose_calls_leave_state_behind_is_not_called_for_a_census(state: State, counted: list[str]) -> None:
    seen: list[str] = []

    def build(name: str) -> BuiltModel:
        def kernels(*_: Any) -> KernelCensus:
            seen.append(name)
            return CENSUSES["twin"]

        return BuiltModel(nn.Identity(), close=lambda: seen.append(f"{name} closed"), kernels=kernels)

    builder = SimpleNamespace(
        build=lambda _: SimpleNamespace(model=build("used"), state=state), build_anew=lambda _: build("fresh")
    )
    evaluation = SimpleNamespace(backend=TWIN, model=nn.Identity(), request=lambda call: call)
    call = SimpleNamespace(method="forward", inputs=Inputs())
    context = SimpleNamespace(builder=builder)
    found = census_of(cast("Evaluation", evaluation), cast("Call", call), cast("EvaluationContext", context))
    assert (found, seen) == (CENSUSES["twin"], counted)
