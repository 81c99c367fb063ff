"""Under pytest-xdist: the same verdicts and table, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_reports import table_of

pytest.importorskip("xdist")

TESTS = """
import pytest, torch

@pytest.mark.parity
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_parity(cpu_model, batch):
    cpu_model(torch.ones(batch, 16))

@pytest.mark.latency_budget(p50="10 s")
def test_timed(cpu_model):
    cpu_model(torch.ones(5, 16))

def test_plain():
    pass
"""
FIGURES = ("p50", "vs eager")


def test_verdicts_and_table_are_those_of_a_run_without(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=TESTS)
    alone = mlp_project.runpytest_inprocess("--cpu-backends=twin,off", "--cpu-report=alone.json")
    spread = mlp_project.runpytest_subprocess("-n2", "--cpu-backends=twin,off", "--cpu-report=spread.json")
    assert alone.parseoutcomes() | {"warnings": 0} == spread.parseoutcomes() | {"warnings": 0}
    assert without_figures(table_of(alone.outlines)) == without_figures(table_of(spread.outlines))
    for result in (alone, spread):
        result.stdout.fnmatch_lines(["cpuaccel: 6 PASS, 4 FAIL*"])
    assert verdicts(mlp_project.path / "alone.json") == verdicts(mlp_project.path / "spread.json")


def without_figures(table: list[list[str]]) -> list[list[str]]:
    kept = [index for index, heading in enumerate(table[0]) if heading not in FIGURES]
    return [[line[index] for index in kept] for line in table]


def verdicts(path: Path) -> set[tuple[str, ...]]:
    results = json.loads(path.read_text())["results"]
    return {
        (
            result["test"],
            result["outcome"],
            *(f"{kind} {result[kind]['verdict']}" for kind in ("parity", "latency") if kind in result),
        )
        for result in results
    }


@pytest.mark.parametrize(
    ("mark", "option", "words"),
    [
        ("parity", "--cpu-backends=twinn", "--cpu-backends: no backend named 'twinn'; did you mean 'twin'?"),
        ("parity", "--cpu-backends=absent", "--cpu-backends: absent: no-such-distribution is not installed; *"),
        ("parity", "--cpu-report=r.xml", "--cpu-report: 'r.xml' ends in none of .json, .md, .html, *"),
        (
            "parity(rtoll=1)",
            "--cpu-backends=twin",
            "*test_it[[]twin[]]: @parity takes no 'rtoll'; did you mean 'rtol'?",
        ),
        ("cpu_backends('twinn')", "--cpu-backends=twin", "*: @cpu_backends: no backend named 'twinn'; *"),
    ],
)
def test_a_mistake_ends_the_run_in_one_line(mlp_project: pytest.Pytester, mark: str, option: str, words: str) -> None:
    mlp_project.makepyfile(test_it=f"import pytest\n\n@pytest.mark.{mark}\ndef test_it(cpu_model): pass")
    result = mlp_project.runpytest_subprocess("-n2", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    (line,) = (line for line in result.errlines if line)
    pytest.LineMatcher([line]).fnmatch_lines([f"ERROR: cpuaccel: {words}"])


def test_workers_export_a_model_once(mlp_project: pytest.Pytester, builds: Any) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parametrize("number", range(6))
        def test_it(cpu_model, number):
            cpu_model(torch.ones(2, 16))
        """
    )
    mlp_project.runpytest_subprocess("-n2", "--cpu-backends=stored").assert_outcomes(passed=6)
    assert len(builds("export")) == 1


def test_workers_in_another_folder_have_the_controllers_paths(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\ncpu_baselines_dir = held")
    test = """
def test_it(pytestconfig):
    from pytest_cpuaccel.plugin.stash import SETTINGS

    found = pytestconfig.stash[SETTINGS]
    assert [str(path) for path in (found.cache_dir, found.baselines_dir, *found.reports)] == EXPECTED
"""
    expected = [str(project.path / name) for name in ("kept", "held", "run.json")]
    (project.mkdir("elsewhere") / "test_it.py").write_text(test.replace("EXPECTED", str(expected)))
    chosen = ("--cpu-cache-dir=kept", "--cpu-report=run.json")
    result = project.runpytest_subprocess(*chosen, "--dist=load", "--tx=popen//chdir=elsewhere")
    result.assert_outcomes(passed=1)
