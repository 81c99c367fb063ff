"""``--cpu-tolerances``: a run proposes tolerances to a file, and later runs are held to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CONFTEST = """
import pytest, torch
from dataclasses import replace
from pytest_cpuaccel.core.precision import Precision
from tests import doubles, models

def noisy(share):
    def change(output):
        noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        return output + share * output.square().mean().sqrt() * noise
    return change

def backend(name, share):
    return replace(doubles.TWIN, name=name, precision=Precision.INT8, load=doubles._changed(noisy(share)))

def pytest_cpuaccel_backends(config):
    return [backend("coarse", {coarse}), backend("fine", {fine}), backend("broken", 0.5), doubles.NAN]

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return models.mlp()
"""
TEST = """
import pytest, torch

@pytest.mark.parity
def test_close(cpu_model):
    cpu_model(torch.linspace(-1, 1, 16 * 64).reshape(64, 16))
"""
NAME = "cpuaccel-tolerances.toml"
KEY = r"Mlp-9717ce0c forward 'output'"


@pytest.fixture
def noisy(project: pytest.Pytester) -> pytest.Pytester:
    project.makeconftest(CONFTEST.format(coarse=0.01, fine=0.005))
    project.makepyfile(test_it=TEST)
    return project


def now(project: pytest.Pytester, *, coarse: float = 0.01, fine: float = 0.005) -> None:
    project.makeconftest(CONFTEST.format(coarse=coarse, fine=fine))


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_inprocess("--cpu-backends=fine,coarse", *options)


def entries(path: Path) -> list[str]:
    return [
        line for line in path.read_text().splitlines() if line.startswith(("backend", "measured_rmse", "eager_rmse"))
    ]


def test_a_run_proposes_and_the_next_is_held_to_it(noisy: pytest.Pytester) -> None:
    path = noisy.path / NAME
    result = run(noisy, "--cpu-tolerances=write")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"note: {NAME}: 2 entries proposed, to be reviewed"])
    before = path.read_text()
    assert [line.split(" = ")[1] for line in entries(path) if line.startswith("backend")] == ['"coarse"', '"fine"']
    now(noisy, coarse=0.035, fine=0.005)
    result = run(noisy, "--cpu-report=found.json")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"*coarse: forward 64x16: 'output' is off by a relative * allowed * by {NAME}:*, which was measured on *; "
            "the default tolerance would pass it*"
        ]
    )
    rows = json.loads((noisy.path / "found.json").read_text())["results"]
    assert {row["parity"]["locked_by"].partition(":")[0] for row in rows} == {NAME}
    result = run(noisy, "--cpu-tolerances=write")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"note: {NAME}: 0 entries proposed, 1 would be looser and stayed",
            f"note: {NAME}:* would be looser: coarse: {KEY} was off by *; delete the entry and write again *",
        ]
    )
    assert path.read_text() == before
    run(noisy, "--cpu-tolerances=off").assert_outcomes(passed=2)


def test_a_wrong_answer_is_refused_and_says_why(noisy: pytest.Pytester) -> None:
    result = noisy.runpytest_inprocess("--cpu-backends=broken,nan", "--cpu-tolerances=write", "--cpu-localize=off")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            f"note: {NAME}: 0 entries proposed, 2 refused",
            f"note: no tolerance is proposed for broken: {KEY}: FAIL by the default tolerance: it is off by *",
            f"note: no tolerance is proposed for nan: {KEY}: FAIL: 'output' is nan at *",
        ]
    )
    assert not (noisy.path / NAME).exists()


def test_a_loose_entry_is_told_and_tightened(noisy: pytest.Pytester) -> None:
    path = noisy.path / NAME
    run(noisy, "--cpu-tolerances=write")
    path.write_text(path.read_text().replace("\nrmse = ", "\nrmse = 9").replace("\nmax = ", "\nmax = 9"))
    result = run(noisy)
    result.stdout.fnmatch_lines([f"note: {NAME}:* times looser than this run needed: coarse: {KEY} is allowed *"])
    result = run(noisy, "--cpu-tolerances=write")
    result.stdout.fnmatch_lines([f"note: {NAME}: 0 entries proposed, 2 tightened, to be reviewed"])
    result = run(noisy)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*looser*")


def test_a_mark_with_a_tolerance_wins(noisy: pytest.Pytester) -> None:
    run(noisy, "--cpu-tolerances=write")
    path = noisy.path / NAME
    path.write_text(path.read_text().replace("\nrmse = ", "\nrmse = 1e-9 # "))
    run(noisy).assert_outcomes(failed=2)
    noisy.makepyfile(test_it=TEST.replace("mark.parity", "mark.parity(cosine=0.9)"))
    run(noisy).assert_outcomes(passed=2)
    path.unlink()
    result = run(noisy, "--cpu-tolerances=write")
    result.stdout.fnmatch_lines([f"note: {NAME}: 0 entries proposed*"])


def test_the_configuration_file_names_another_file(noisy: pytest.Pytester) -> None:
    noisy.makeini("[pytest]\ncpu_tolerances = kept/own.toml\n")
    result = run(noisy)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: cpuaccel: cpu_tolerances in tox.ini: there is no file '*own.toml'; --cpu-tolerances=write makes it"]
    )
    run(noisy, "--cpu-tolerances=write").assert_outcomes(passed=2)
    assert len(entries(noisy.path / "kept" / "own.toml")) == 6
    run(noisy).assert_outcomes(passed=2)


def test_a_malformed_file_ends_the_run_in_one_line(noisy: pytest.Pytester) -> None:
    (noisy.path / NAME).write_text("version = 1\n[[tolerance]]\nmodel = 1\n")
    result = run(noisy)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0].startswith(f"ERROR: cpuaccel: {NAME}, line 2: the entry has no 'call'")
    noisy.makepyfile(test_it="def test_else(): pass")
    noisy.makeconftest("")
    noisy.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_run_that_was_cut_short_writes_nothing(noisy: pytest.Pytester) -> None:
    noisy.makepyfile(test_it=TEST + "\ndef test_wrong():\n    assert False\n")
    result = run(noisy, "--cpu-tolerances=write", "-x")
    result.stdout.fnmatch_lines(["note: no tolerance was written: the run was cut short"])
    assert not (noisy.path / NAME).exists()


TWO_TESTS = f"""{TEST}
@pytest.mark.parity
def test_wide(cpu_model):
    cpu_model(torch.linspace(-3, 3, 16 * 64).reshape(64, 16))
"""


def test_xdist_writes_what_one_process_writes(noisy: pytest.Pytester) -> None:
    """Either worker has a test of each entry."""
    pytest.importorskip("xdist")
    noisy.makepyfile(test_it=TWO_TESTS)
    run(noisy, "--cpu-tolerances=write:one.toml")
    options = ["-n2", "--cpu-backends=fine,coarse", "--cpu-tolerances=write:many.toml"]
    result = noisy.runpytest_subprocess(*options)
    result.stdout.fnmatch_lines(["note: many.toml: 2 entries proposed, to be reviewed"])
    assert (noisy.path / "many.toml").read_text() == (noisy.path / "one.toml").read_text()


def test_part_of_a_run_leaves_an_entry_that_other_tests_share(noisy: pytest.Pytester) -> None:
    noisy.makepyfile(test_it=TWO_TESTS)
    run(noisy, "--cpu-tolerances=write")
    path = noisy.path / NAME
    loose = path.read_text().replace("\nrmse = ", "\nrmse = 9").replace("\nmax = ", "\nmax = 9")
    path.write_text(loose)
    result = run(noisy, "--cpu-tolerances=write", "-k", "close")
    result.stdout.fnmatch_lines([f"note: {NAME}: 0 entries proposed"])
    assert path.read_text() == loose
    run(noisy, "-k", "close").stdout.no_fnmatch_line("*looser*")
    result = run(noisy, "--cpu-tolerances=write")
    result.stdout.fnmatch_lines([f"note: {NAME}: 0 entries proposed, 2 tightened, to be reviewed"])
