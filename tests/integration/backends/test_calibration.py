"""Calibration data: the user's inputs reach the backends that quantise activations, the same for every build."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.calibration import calibration_of
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from tests import models

DATA = """
import pytest, torch

@pytest.fixture(scope="session")
def cpu_calibration():
    return [{"x": torch.full((2, 16), float(value))} for value in (3, 5)]

X = torch.ones(2, 16)
"""


def run(project: pytest.Pytester, test: str, *args: str, backend: str = "calibrated") -> pytest.RunResult:
    project.makepyfile(test_it=test)
    return project.runpytest_inprocess(f"--cpu-backends={backend}", *args)


def test_the_fixtures_data_reach_the_build(mlp_project: pytest.Pytester, builds: Any) -> None:
    result = run(mlp_project, DATA + "def test_it(cpu_model): cpu_model(x=X)")
    result.assert_outcomes(passed=1)
    assert builds("calibrate") == ["calibrate [3.0, 5.0]"]
    result.stdout.no_fnmatch_line("note: *")


def test_data_may_be_given_with_the_model(mlp_project: pytest.Pytester, builds: Any) -> None:
    test = DATA + "def test_it(cpu_accelerate, eager_model): cpu_accelerate(eager_model, calibration=[{'x': X * 7}])(X)"
    run(mlp_project, test).assert_outcomes(passed=1)
    assert builds("calibrate") == ["calibrate [7.0]"]


def test_scoring_uses_the_data_too(mlp_project: pytest.Pytester, builds: Any) -> None:
    test = DATA + "def test_it(score_items): score_items(lambda model, item: float(model(item).sum()), [X])"
    run(mlp_project, test).assert_outcomes(passed=1)
    assert builds("calibrate") == ["calibrate [3.0, 5.0]"]


def test_without_data_the_first_calls_inputs_stand_in_and_a_note_says_so(
    mlp_project: pytest.Pytester, builds: Any
) -> None:
    test = (
        "import torch\n"
        "def test_it(cpu_model):\n"
        "    for value in (1, 2): cpu_model(x=torch.full((value, 16), 1.0 * value))"
    )
    result = run(mlp_project, test)
    result.assert_outcomes(passed=1)
    assert builds("calibrate") == ["calibrate [1.0]"]
    result.stdout.re_match_lines(["note: calibrated: Mlp was calibrated on one call's own inputs; .*cpu_calibration"])


def test_a_fresh_build_for_a_race_uses_the_same_data(mlp_project: pytest.Pytester, builds: Any) -> None:
    test = DATA + (
        "@pytest.mark.parity\n@pytest.mark.latency_budget(max_slowdown='400%', vs='calibrated')\n"
        "def test_it(cpu_model): cpu_model(x=X)"
    )
    run(mlp_project, test).assert_outcomes(passed=1)
    assert builds() == ["calibrate [3.0, 5.0]", "export", "load Mlp", "load Mlp"]


def test_a_backend_to_race_is_calibrated_though_the_tested_one_needs_none(
    mlp_project: pytest.Pytester, builds: Any
) -> None:
    test = DATA + (
        "@pytest.mark.latency_budget(max_slowdown='400%', vs='calibrated')\ndef test_it(cpu_model): cpu_model(x=X)"
    )
    run(mlp_project, test, backend="twin").assert_outcomes(passed=1)
    assert builds("calibrate") == ["calibrate [3.0, 5.0]"]


def test_other_data_make_another_artifact(mlp_project: pytest.Pytester, builds: Any) -> None:
    test = DATA + "def test_it(cpu_model): cpu_model(x=X)"
    for values in ("(3, 5)", "(3, 5)", "(3, 6)"):
        run(mlp_project, test.replace("(3, 5)", values), "--cpu-cache-dir=kept").assert_outcomes(passed=1)
    assert builds("calibrate") == ["calibrate [3.0, 5.0]", "calibrate [3.0, 6.0]"]


def test_a_model_has_one_set_of_data_in_a_test(mlp_project: pytest.Pytester) -> None:
    test = DATA + "def test_it(cpu_model, cpu_accelerate, eager_model): cpu_accelerate(eager_model, calibration=[X])"
    result = run(mlp_project, test)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([".*Mlp was given other data, or none, earlier in this test"])


def test_data_without_meaning_fail_the_test_as_one_line(mlp_project: pytest.Pytester) -> None:
    result = run(mlp_project, DATA.replace("return [", "return [7] + [") + "def test_it(cpu_model): cpu_model(x=X)")
    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines(["cpu_calibration: item 0 is of type int; give a list of inputs: .*"])


def test_keywords_arguments_and_single_tensors_are_inputs() -> None:
    from collections import UserDict

    x = torch.ones(1)
    items = calibration_of([UserDict(x=x), (x, x), x, Inputs((x,))]).inputs
    assert items == (Inputs(kwargs={"x": x}), Inputs((x, x)), Inputs((x,)), Inputs((x,)))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([], "there are no items"),
        ({"x": torch.ones(1)}, "dict is no list of inputs"),
        (torch.ones(3), "Tensor is no list of inputs"),
        (5, "int is no list of inputs"),
        ((item for item in [torch.ones(1)]), "generator can be read only once; return a list"),
        ([torch.ones(1), "text"], "item 1 is of type str"),
        ([{"input_ids": [1, 2]}], "item 0 has no tensor in it; tokenizers need return_tensors='pt'"),
        ([{"x": torch.ones(1, device="meta")}], "item 0: input 'x' is on device 'meta'"),
    ],
)
def test_what_is_no_data_is_refused(data: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"calibration data: {complaint}"):
        calibration_of(data)


def test_without_data_a_build_for_another_shape_is_calibrated_on_its_own_inputs(tmp_path: Path) -> None:
    seen = []

    def load(subject: Subject, folder: Path | None) -> BuiltModel:  # noqa: ARG001
        seen.append([item.kwargs["x"].shape for item in subject.calibration])
        wanted = subject.inputs.kwargs["x"].shape
        return BuiltModel(subject.fresh_module(), threads=1, accepts=lambda inputs: inputs.kwargs["x"].shape == wanted)

    backend = Backend(name="strict", summary="one shape a build", load=load, calibrates=True)
    builder = Builder(ArtifactStore(tmp_path, 0), 1, lambda _: None, lambda _: contextlib.nullcontext())
    model = models.mlp()
    for batch in (2, 3, 2):
        builder.built(BuildRequest(model, backend, "forward", Inputs(kwargs={"x": torch.ones(batch, 16)})))
    assert seen == [[(2, 16)], [(3, 16)]]
