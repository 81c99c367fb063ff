"""The hook by which other plugins and conftests hear of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

COLLECTING = """
import json
from pathlib import Path

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_result(item, result):
    from pytest_cpuaccel import Outcome, Result, Verdict

    assert isinstance(result, Result) and all(isinstance(verdict, Verdict) for verdict in result.verdicts)
    passes = {verdict.kind: verdict.outcome is Outcome.PASS for verdict in result.verdicts}
    with Path("found.jsonl").open("a") as file:
        file.write(json.dumps([item.name, result.backend, result.call, passes]) + "\\n")
"""
RAISING = """
@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_result(item, result):
    raise ZeroDivisionError("of the conftest")
"""
TESTS = """
import pytest, torch

@pytest.mark.parity(rtol=0, atol=0)
def test_calls(cpu_model):
    cpu_model(torch.ones(2, 16))
    cpu_model(torch.ones(3, 16))

def test_without_marks(cpu_model):
    cpu_model(torch.ones(2, 16))
"""


@pytest.fixture
def listening(mlp_project: pytest.Pytester) -> pytest.Pytester:
    mlp_project.makepyfile(test_it=TESTS)
    return mlp_project


def add_to_conftest(project: pytest.Pytester, text: str) -> None:
    path = project.path / "conftest.py"
    project.makeconftest(path.read_text() + text)


def collected(folder: Path) -> list[object]:
    return [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "two_workers"])
def test_a_conftest_hears_of_every_result(listening: pytest.Pytester, options: tuple[str, ...]) -> None:
    if options:
        pytest.importorskip("xdist")
    add_to_conftest(listening, COLLECTING)
    run = listening.runpytest_subprocess if options else listening.runpytest_inprocess
    run("--cpu-backends=twin,off", *options).assert_outcomes(passed=3, failed=1)
    found = collected(listening.path)
    assert (sorted(found, key=str, reverse=True) if options else found) == [
        [f"test_calls[{backend}]", backend, f"forward {batch}x16", {"parity": passes}]
        for backend, passes in (("twin", True), ("off", False))
        for batch in ((3, 2) if options else (2, 3))
    ]


def test_a_conftest_hears_only_of_tests_below_it(listening: pytest.Pytester) -> None:
    folder = listening.mkdir("inner")
    (folder / "conftest.py").write_text("import pytest\n" + COLLECTING)
    (folder / "test_inner.py").write_text(TESTS)
    listening.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=4)
    assert len(collected(listening.path)) == 2


def test_an_error_in_the_hook_is_shown_as_its_own(listening: pytest.Pytester) -> None:
    add_to_conftest(listening, RAISING)
    result = listening.runpytest_inprocess("--cpu-backends=twin", "-k", "test_calls")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ['>*raise ZeroDivisionError("of the conftest")', "E*ZeroDivisionError: of the conftest", "conftest.py:*: Zero*"]
    )
    assert "pytest_cpuaccel/" not in result.stdout.str()


def test_a_suite_with_the_hook_runs_without_the_plugin(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import pytest\n" + RAISING)
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest_inprocess("-p", "no:cpuaccel").assert_outcomes(passed=1)
