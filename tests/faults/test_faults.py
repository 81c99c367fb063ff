"""A deliberately broken backend is caught, with a message that points at the fault; an honest one never is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.judge.reference import run_in
from pytest_cpuaccel.matrix.zoo import ARCHITECTURES
from tests.faults.cases import CASES, Case
from tests.faults.experiment import Experiment, experiment
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.honest import CONTROLS

MODELS = {item.name: item for item in ARCHITECTURES if item.name in ("bert", "gpt2", "bart", "vit", "cnn", "lstm")}


@pytest.fixture(scope="module", params=MODELS)
def tried(request: pytest.FixtureRequest) -> Iterator[Experiment]:
    architecture = MODELS[request.param]
    if architecture.is_transformer:
        pytest.importorskip("transformers")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = architecture.make()
    calls = [architecture.inputs(model), architecture.inputs(model, batch=3, length=7)]
    if run_in(model, calls[0], torch.float64) is None:
        pytest.skip("this model does not run in float64 here, by which it is told whether a fault changes an answer")
    yield experiment(model, calls)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_caught_and_named(tried: Experiment, fault: Fault) -> None:
    if not fault.always and not tried.is_affected_by(fault.broken):
        pytest.skip("this fault changes no answer of this model")
    blame = tried.blame(replace(fault.broken, name=fault.name))
    assert blame is not None, "passed"
    assert re.search(fault.pointer, blame)


@pytest.mark.parametrize("honest", CONTROLS, ids=lambda backend: backend.name)
def test_right_arithmetic_in_another_order_is_not_blamed(tried: Experiment, honest: Backend) -> None:
    if tried.is_refused_by(honest):
        pytest.skip("it does not take this model")
    assert tried.blame(honest) is None


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_of_its_kind_is_caught_and_named_where_right_arithmetic_is_not_blamed(case: Case) -> None:
    tried = experiment(case.make(), case.calls)
    for fault in case.faults:
        blame = tried.blame(replace(fault.broken, name=fault.name))
        assert blame is not None, fault.name
        assert re.search(fault.pointer, blame), blame
    for honest in case.honest:
        assert tried.blame(honest) is None, honest.name
