"""Backends that the conftest.py of a subdirectory adds: known to the tests below it, wherever pytest starts."""

from __future__ import annotations

import pytest

from tests.integration.test_selection import collected, refusal

ROOT = """
import pytest, torch
from tests import models

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return models.mlp()
"""
ADDS = """
import pytest
from dataclasses import replace
from tests import doubles

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [replace(doubles.{of}, name="{name}")]
"""
TEST = """
import pytest, torch

@pytest.mark.parity
def test_{name}(cpu_accelerate, eager_model):
    cpu_accelerate(eager_model)(torch.ones(2, 16))
"""


@pytest.fixture
def tree(project: pytest.Pytester) -> pytest.Pytester:
    """``suite/sub`` has the backend ``own``, which is wrong; ``suite/other`` has none."""
    project.makeconftest(ROOT)
    add(project, "sub", "own", "OFF")
    add(project, "other")
    return project


def add(project: pytest.Pytester, folder: str, name: str = "", of: str = "") -> None:
    place = project.mkdir(f"suite/{folder}") if (project.path / "suite").exists() else made(project, folder)
    place.joinpath(f"test_{folder}.py").write_text(TEST.format(name=folder))
    if name:
        place.joinpath("conftest.py").write_text(ADDS.format(of=of, name=name))


def made(project: pytest.Pytester, folder: str) -> object:
    project.mkdir("suite")
    return project.mkdir(f"suite/{folder}")


SUB, OTHER = "suite/sub/test_sub.py::test_sub", "suite/other/test_other.py::test_other"


@pytest.mark.parametrize("arguments", [[], ["suite"], ["suite/sub", "suite/other"]])
def test_tests_below_run_under_a_backend_that_is_named(tree: pytest.Pytester, arguments: list[str]) -> None:
    result = tree.runpytest_inprocess("-rs", "--cpu-backends=own", *arguments)
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["test_sub *Mlp *own *FAIL parity", "SKIPPED *own: added for the tests of other folders, by their conftest.py"]
    )


def test_tests_elsewhere_run_under_the_others(tree: pytest.Pytester) -> None:
    found = [f"{OTHER}[eager]", f"{SUB}[eager]", f"{SUB}[own]"]
    assert sorted(collected(tree, "--cpu-backends=eager,own")) == found
    assert sorted(collected(tree, "--cpu-backends=eager,ow*")) == found
    assert f"{SUB}[own]" in collected(tree, "--cpu-backends=all")
    assert f"{OTHER}[own]" not in collected(tree, "--cpu-backends=all")


@pytest.mark.parametrize("argument", ["suite/sub", "suite/sub/test_sub.py", "suite/sub/test_sub.py::test_sub"])
def test_a_run_of_the_folder_alone_is_the_same(tree: pytest.Pytester, argument: str) -> None:
    assert collected(tree, "--cpu-backends=eager,own", argument) == [f"{SUB}[eager]", f"{SUB}[own]"]


def test_a_run_from_within_the_folder_is_the_same(tree: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.makeini("[pytest]")
    monkeypatch.chdir(tree.path / "suite" / "sub")
    result = tree.runpytest_subprocess("--cpu-backends=own")
    result.assert_outcomes(failed=1)


def test_workers_know_them_too(tree: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    result = tree.runpytest_subprocess("-n2", "--cpu-backends=eager,own", "--cpu-report=r.json")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["test_other *Mlp *forward 2x16 *eager *PASS", " *own *FAIL parity"])


def test_marks_may_name_them(tree: pytest.Pytester) -> None:
    file = tree.path / "suite" / "sub" / "test_sub.py"
    file.write_text(file.read_text().replace("mark.parity", "mark.parity(rtol=0.0, atol={'own': 9.0, '*': 0.0})"))
    tree.runpytest_inprocess("--cpu-backends=eager,own").assert_outcomes(passed=3)


@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["alone", "xdist"])
def test_a_name_that_no_folder_adds_is_refused(tree: pytest.Pytester, options: list[str]) -> None:
    if options:
        pytest.importorskip("xdist")
    result = tree.runpytest_subprocess("--cpu-backends=eager,owm", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line)
    assert line == "ERROR: cpuaccel: --cpu-backends: no backend named 'owm'; did you mean 'own'?"


def test_a_name_of_a_folder_that_is_not_collected_is_refused_with_the_place(tree: pytest.Pytester) -> None:
    line = refusal(tree, "--cpu-backends=own", "suite/other")
    assert line.startswith("ERROR: cpuaccel: --cpu-backends: no backend named 'own'; ")
    assert line.endswith(
        "; suite/sub/conftest.py has pytest_cpuaccel_backends, which is for tests below it: collect those"
    )


def test_one_name_for_two_backends_is_refused_with_both_places(tree: pytest.Pytester) -> None:
    add(tree, "third", "own", "TWIN")
    assert refusal(tree, "--cpu-backends=own") == (
        "ERROR: cpuaccel: pytest_cpuaccel_backends: suite/sub/conftest.py and suite/third/conftest.py both add a "
        "backend 'own'; a name holds for the whole run: rename one"
    )


def test_one_backend_that_two_folders_add_is_one(tree: pytest.Pytester) -> None:
    for folder in ("sub", "third"):
        add(tree, folder) if folder == "third" else None
        conftest = tree.path / "suite" / folder / "conftest.py"
        conftest.write_text("from tests import doubles\ndef pytest_cpuaccel_backends(config): return [doubles.OFF]")
    result = tree.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=2, skipped=1)


@pytest.mark.parametrize("answer", ["['own']", "None", "7"])
def test_what_is_no_backend_is_refused_as_anywhere(tree: pytest.Pytester, answer: str) -> None:
    (tree.path / "suite" / "sub" / "conftest.py").write_text(f"def pytest_cpuaccel_backends(config): return {answer}")
    line = refusal(tree, "--cpu-backends=eager,own")
    assert line.startswith("ERROR: cpuaccel: ")


def test_a_backend_of_a_folder_that_is_not_installed_ends_the_run_or_skips(tree: pytest.Pytester) -> None:
    (tree.path / "suite" / "sub" / "conftest.py").write_text(ADDS.format(of="ABSENT", name="own"))
    assert refusal(tree, "--cpu-backends=eager,own").startswith(
        "ERROR: cpuaccel: --cpu-backends: own: no-such-distribution is not installed; "
    )
    tree.runpytest_inprocess("--cpu-backends=eager,own", "--cpu-missing=skip").assert_outcomes(passed=2, skipped=1)


LONE = """
import pytest, torch, unittest

class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def model(self, cpu_backend, cpu_accelerate, eager_model):
        self.backend, self.model = cpu_backend, cpu_accelerate(eager_model)

    @pytest.mark.parity
    def test_{name}(self):
        assert self.backend.name == "{runs_under}"
        self.model(torch.ones(2, 16))
"""


@pytest.fixture
def lone(project: pytest.Pytester) -> pytest.Pytester:
    """Two folders with a right backend each, and one with none; each test is told which it should run under."""
    project.makeconftest(ROOT)
    for folder, name in {"a": "first", "b": "second", "c": ""}.items():
        add(project, folder, name, "TWIN")
        file = project.path / "suite" / folder / f"test_{folder}.py"
        file.write_text(LONE.format(name=folder, runs_under=name or "eager"))
    return project


def test_a_test_case_runs_under_the_backend_of_its_folder(lone: pytest.Pytester) -> None:
    (lone.path / "suite" / "c" / "test_c.py").unlink()
    lone.runpytest_inprocess("--cpu-backends=first,second").assert_outcomes(passed=2)
    lone.runpytest_inprocess("--cpu-backends=second,first").assert_outcomes(passed=2)
    files = ["suite/b/test_b.py", "suite/a/test_a.py"]
    lone.runpytest_inprocess("--cpu-backends=first,second", *files).assert_outcomes(passed=2)


def test_a_test_case_elsewhere_runs_under_the_others(lone: pytest.Pytester) -> None:
    for folder in "ab":
        mark = "    @pytest.mark.parity"
        file = lone.path / "suite" / folder / f"test_{folder}.py"
        file.write_text(file.read_text().replace(mark, f"{mark}\n    @pytest.mark.cpu_backends('first', 'second')"))
    lone.runpytest_inprocess("--cpu-backends=first,second,eager").assert_outcomes(passed=3)


def test_a_test_case_of_a_folder_without_any_of_the_chosen_skips(lone: pytest.Pytester) -> None:
    result = lone.runpytest_inprocess("-rs", "--cpu-backends=first,second")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *first, second: added for the tests of other folders, by their conftest.py"])


def test_functions_and_test_cases_of_folders_run_side_by_side(lone: pytest.Pytester) -> None:
    for folder, name in {"a": "first", "b": "second"}.items():
        file = lone.path / "suite" / folder / f"test_{folder}.py"
        function = (
            f"\n\ndef test_function(cpu_backend, cpu_accelerate, eager_model):\n    assert cpu_backend.name == '{name}'"
        )
        file.write_text(f"{file.read_text()}{function}\n    cpu_accelerate(eager_model)(torch.ones(2, 16))\n")
    for names in ("first,second", "second,first"):
        lone.runpytest_inprocess(f"--cpu-backends={names}").assert_outcomes(passed=4, skipped=1)
