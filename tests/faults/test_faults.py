"""A deliberately broken backend is caught, with a message that points at the fault; an honest one never is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.builder.artifact import MANIFEST, manifest_of
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.evaluation.reference_cache import run_in
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
from tests.faults.cases import CASES, Case
from tests.faults.experiment import Experiment, experiment
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.habits import EXPORTING, HABITS, Habit, closing_over
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


@pytest.mark.parametrize("habit", HABITS, ids=str)
def test_a_backend_that_gets_a_habit_of_a_model_wrong_is_caught_and_one_that_does_not_is_not_blamed(
    tried: Experiment, habit: Habit
) -> None:
    wrapped = experiment(habit.wrap(tried.model), tried.calls)
    assert wrapped.blame(EAGER) is None
    blame = wrapped.blame(replace(habit.broken, name=habit.name))
    assert blame is not None, "passed"
    assert re.search(habit.pointer, blame)


def test_models_that_only_a_closure_tells_apart_have_exports_of_their_own(tried: Experiment, tmp_path: Path) -> None:
    for scale in (1.0, 3.0, 1.0):
        alike = replace(experiment(closing_over(scale)(tried.model), tried.calls), cache=tmp_path)
        assert alike.blame(EXPORTING) is None


def test_an_export_of_another_model_that_passes_for_this_ones_is_told(tried: Experiment, tmp_path: Path) -> None:
    for scale in (1.0, 3.0):
        replace(experiment(closing_over(scale)(tried.model), tried.calls), cache=tmp_path).blame(EXPORTING)
    take_the_first_for_the_second(tmp_path)
    stale = replace(experiment(closing_over(3.0)(tried.model), tried.calls), cache=tmp_path)
    assert "a fresh export answers right" in str(stale.doubt(EXPORTING))


def take_the_first_for_the_second(cache: Path) -> None:
    first, second = sorted((path for path in cache.iterdir() if path.is_dir()), key=lambda path: path.stat().st_ctime)
    (second / "name").write_bytes((first / "name").read_bytes())
    manifest = json.loads((second / MANIFEST).read_text())
    manifest["files"] = dict(manifest_of(first).files)
    (second / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_of_its_kind_is_caught_and_named_where_right_arithmetic_is_not_blamed(case: Case) -> None:
    if case.method == "generate":
        pytest.importorskip("transformers")
    tried = experiment(case.make(), case.calls, case.method)
    for fault in case.faults:
        blame = tried.blame(replace(fault.broken, name=fault.name))
        assert blame is not None, fault.name
        assert re.search(fault.pointer, blame), blame
    for honest in case.honest:
        assert tried.blame(honest) is None, honest.name
