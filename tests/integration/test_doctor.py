"""``cpuaccel doctor``: what would skew a timing, and what this machine can tell."""

from __future__ import annotations

import itertools
import json
import platform
import re
import shlex
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.version import Version

from pytest_cpuaccel.backends.registry import BUILTIN
from pytest_cpuaccel.backends.requirements import pip_command, unmet_requirement
from pytest_cpuaccel.builder.tested_versions import NEWEST_TESTED, TESTED, releases_tested
from pytest_cpuaccel.cli import doctor, fitted_text
from pytest_cpuaccel.cli.main import main
from pytest_cpuaccel.core.backend import Requirement
from pytest_cpuaccel.machine.traits import traits
from pytest_cpuaccel.measure.latency import self_check_models


def test_everything_that_timing_depends_on_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for trait in traits():
        assert any(line.startswith(f"{trait.name} ") for line in lines)


@pytest.mark.parametrize(
    ("installed", "lines"),
    [
        ("999.1.0", ["transformers 999.1.0: newer than the newest tested, "]),
        (NEWEST_TESTED["transformers"], []),
        (f"{NEWEST_TESTED['transformers']}+cpu", []),
        ("4.0.0", []),
    ],
)
def test_a_release_newer_than_any_tested_has_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], installed: str, lines: list[str]
) -> None:
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: installed if name == "transformers" else version(name))
    assert main(["doctor"]) == 0
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("transformers ")]
    assert [line.partition("tested, ")[0] + "tested, " for line in found] == lines


def test_what_counts_as_tested_is_what_tox_pins() -> None:
    pins: dict[str, list[Version]] = {}
    ini = (Path(__file__).parents[2] / "tox.ini").read_text()
    for name, release in re.findall(r"^\s+([\w-]+)(?:\[[\w,-]+\])?==([\d.]+)$", ini, re.MULTILINE):
        pins.setdefault(name, []).append(Version(release))
    pinned = {name: (str(min(releases)), str(max(releases))) for name, releases in pins.items()}
    needed = {item.distribution for backend in BUILTIN for item in backend.requires}
    assert dict(TESTED) == {name: pinned[name] for name in TESTED}
    assert needed & pinned.keys() <= TESTED.keys()


def test_each_distribution_stands_with_its_tested_releases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["doctor"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name in TESTED:
        installed = Requirement(name).installed or "not installed"
        assert f"{name} {installed}; tested: {releases_tested(name)}" in lines
    if Requirement("onnx").installed:
        assert any(re.fullmatch(r"onnx \S+; no release of it is pinned in the tests", line) for line in lines)


@pytest.mark.parametrize("columns", ["60", "80", "130", None])
def test_lines_fit_the_terminal_and_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str | None
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= int(columns or 80)
    words = printed.replace(" \\\n", " ").split()
    for backend in BUILTIN:
        assert contains(words, [backend.name, *backend.summary.rstrip(";").split()[:-1]])
        if unmet_requirement(backend):
            assert contains(words, pip_command(backend).split())


def contains(words: list[str], run: list[str]) -> bool:
    return any(words[place : place + len(run)] == run for place in range(len(words)))


def test_a_long_command_goes_on_after_a_backslash_as_a_shell_reads_it() -> None:
    words = 'pip install "alpha>=1.0,<2" "beta>=2.0" "gamma"'
    lines = list(fitted_text.command(words, 36))
    assert lines == ['    pip install "alpha>=1.0,<2" \\', '        "beta>=2.0" "gamma"']
    shell = subprocess.run(
        ["sh", "-c", "printf '%s\\n' " + "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert shell.stdout.splitlines() == shlex.split(words)


def test_equal_copies_are_raced_and_the_smallest_slowdown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    small = list(itertools.islice(self_check_models.self_check_models(), 1))
    monkeypatch.setattr(self_check_models, "self_check_models", lambda: small)
    heading, line = doctor.self_checks(0.3, wait_s=60)
    assert heading == "A/A: each model against an equal copy for 0.3 s, 1 thread, 5 % allowed"
    assert re.match(
        r"mlp +\S+ [mu]s a call: (PASS|FAIL|INCONCLUSIVE), ratio \d\.\d{4} \[.+\]; slowdowns told: .+ \(\d+ pairs", line
    )


@pytest.mark.parametrize("columns", ["20", "80"])
def test_the_version_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    version = metadata.version("pytest-cpuaccel")
    assert capsys.readouterr().out == f"pytest-cpuaccel {version}, Python {platform.python_version()}\n"


def test_a_wait_without_a_unit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--aa", "--cpu-wait=60"])
    assert "argument --cpu-wait: '60' has no unit; " in capsys.readouterr().err


def test_the_copies_are_built_apart_and_equal() -> None:
    one, other = (next(self_check_models.self_check_models()).copies() for _ in range(2))
    answers = [side.call() for sides in (one, other) for side in (sides.candidate, sides.reference)]
    assert all(answer.equal(answers[0]) for answer in answers)
    assert one.candidate.call.func is not one.reference.call.func


def test_a_failing_latency_comes_with_an_a_a_check_made_once_a_session(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parametrize("batch", [1, 2])
        @pytest.mark.latency_budget(speedup=1000)
        def test_it(cpu_model, batch):
            cpu_model(torch.ones(batch, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-report=run.json")
    result.assert_outcomes(failed=2)
    lines = [line for line in result.outlines if "A/A check: two equal copies of eager had a ratio of " in line]
    assert len(lines) == 2
    assert len(set(lines)) == 1
    first, second = (found["latency"] for found in json.loads((mlp_project.path / "run.json").read_text())["results"])
    for name in ("aa_ratio", "aa_pairs", "aa_seconds"):
        assert first[name] == second[name]
    assert first["ratio"] != second["ratio"]
