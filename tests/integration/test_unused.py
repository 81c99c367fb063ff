"""Installed and not used, the plugin changes no suite's outcome."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.integration.test_selection import collected, refusal

THEIR_MARKS = """
import pytest

pytestmark = pytest.mark.memory_budget("theirs")

@pytest.mark.parity("odd")
@pytest.mark.latency_budget(7, window="wide")
@pytest.mark.accuracy_budget
@pytest.mark.cpu_backends(3, whatever=True)
def test_marked(): pass

@pytest.mark.parity
class TestIt:
    def test_it(self, request): assert request.node.get_closest_marker("parity").args == ()
"""


def test_marks_of_our_names_are_somebody_elses(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nmarkers =\n    parity: theirs")
    project.makepyfile(THEIR_MARKS)
    project.runpytest_inprocess("--strict-markers").assert_outcomes(passed=2)


def test_an_installed_package_with_backends_makes_no_suite_ours(project: pytest.Pytester) -> None:
    package = "def pytest_cpuaccel_backends(config): return []"
    project.makepyfile(THEIR_MARKS, somebodys_backends=package)
    project.syspathinsert()
    project.runpytest_inprocess("-p", "somebodys_backends").assert_outcomes(passed=2)


@pytest.mark.parametrize("ours", ["option", "another option", "hook", "test"])
def test_where_the_run_is_ours_a_mark_must_judge_something(project: pytest.Pytester, ours: str) -> None:
    if ours == "hook":
        project.makeconftest("def pytest_cpuaccel_backends(config): return []")
    project.makepyfile(
        test_it="import pytest\n\n@pytest.mark.parity\ndef test_it(): pass\n"
        + ("\ndef test_other(cpu_backend): pass\n" if ours == "test" else "")
    )
    options = {"option": ["--cpu-backends=eager"], "another option": ["--cpu-threads=1"]}
    assert refusal(project, *options.get(ours, [])).startswith(
        "ERROR: cpuaccel: test_it.py::test_it: @parity judges calls of cpu_model or cpu_accelerate; "
    )


THEIR_FIXTURES = """
import pytest

@pytest.fixture(params=["a", "b"])
def cpu_backend(request): return request.param

@pytest.fixture
def cpu_model(cpu_backend): return f"model on {cpu_backend}"

@pytest.fixture
def eager_model(): return 1

@pytest.fixture
def cpu_candidate(eager_model): return eager_model + 1

@pytest.fixture
def score_items(): return 3

@pytest.mark.parity
def test_theirs(cpu_backend, cpu_model, cpu_candidate, score_items):
    assert (cpu_model, cpu_candidate, score_items) == (f"model on {cpu_backend}", 2, 3)

@pytest.mark.parametrize("cpu_backend", ["c", "d"])
@pytest.mark.parametrize("cpu_model", [0])
def test_arguments(cpu_backend, cpu_model): assert cpu_backend in "cd"
"""


def test_fixtures_and_arguments_of_our_names_are_somebody_elses(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=THEIR_FIXTURES)
    ids = [f"test_it.py::test_theirs[{name}]" for name in "ab"] + [f"test_it.py::test_arguments[0-{n}]" for n in "cd"]
    assert collected(project) == ids
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*eager only*[!l]")


def test_a_mark_beside_a_fixture_of_our_name_says_whose_it_is(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=THEIR_FIXTURES)
    assert refusal(mlp_project, "--cpu-backends=twin").endswith(
        "take one as argument; the cpu_model here is another fixture of that name"
    )


def test_our_model_beside_somebody_elses_cpu_backend_is_run_and_judged(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.fixture(params=["a", "b"])
        def cpu_backend(request): return request.param

        @pytest.mark.parity
        def test_it(cpu_backend, cpu_model): cpu_model(torch.ones(2, 16))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=2, failed=2)


def test_cpu_backend_takes_no_parameters_of_a_tests_own(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        'import pytest\n\n@pytest.mark.parametrize("cpu_backend", ["off"], indirect=True)\n'
        "def test_it(cpu_model, cpu_backend): pass"
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["cpu_backend takes no parameters; of those chosen, allow some by @pytest.mark.cpu_*"])


def test_the_order_of_tests_stays(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parity
        @pytest.mark.parametrize("cpu_backend", ["b", "eager", "a"])
        def test_one(cpu_backend): pass

        @pytest.mark.parametrize("_cpu", [1, 2])
        def test_two(_cpu): pass
        """
    )
    assert [test.partition("[")[2] for test in collected(project)] == ["b]", "eager]", "a]", "1]", "2]"]


def test_a_machine_that_cannot_be_locked_is_no_matter(project: pytest.Pytester) -> None:
    (Path(tempfile.gettempdir()) / "cpuaccel.lock").mkdir()
    project.makepyfile(test_it=THEIR_MARKS)
    project.runpytest_inprocess().assert_outcomes(passed=2)
    assert "cpuaccel.lock" in refusal(project, "--cpu-backends=eager")
