"""A run against another environment: what is told of what differs, and of what can't be compared.

A side takes seconds of CPU to start. So there are few sessions here, with one process a side, and no call is timed:
the race is a double, which finds both sides equally fast.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import CONFTEST
from tests.integration.test_interrupt import wait_for

BOTH = ("answers", "environment")
STARTS = "STARTS"
"""Names the folder in which each process of a project leaves a file with its number."""

COUNTING = """
import os
from pathlib import Path

(Path(os.environ["STARTS"]) / str(os.getpid())).touch()
"""

RACE = """
from pytest_cpuaccel.core.measurement.crew_race import CrewRaceMeasurement
from pytest_cpuaccel.core.measurement.shown import Shown
from pytest_cpuaccel.evaluation import against

def race(grow, *, limit, config):
    return CrewRaceMeasurement(1.0, (0.99, 1.01), (), (), 4, 20, 1.0, 1e6, 1e6, 1.0, 0.0, 1, 0, Shown.BELOW, "")

against.race_crews = race
"""
"""A conftest's lines that put a double in the race's place."""

MODEL = """
from torch import nn

class Shop(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 4)

    def forward(self, x):
        return self.linear(x) * FACTOR
"""

SHOP_CONFTEST = """
import pytest, torch

@pytest.fixture(scope="session")
def eager_model():
    from shop.model import Shop

    torch.manual_seed(0)
    return Shop().eval()
"""

TESTS = """
import os
import pytest, torch

@pytest.mark.parity
class TestOfAClass:
    @pytest.mark.parametrize("rows", [2, 3])
    def test_rows(self, cpu_model, rows, tmp_path, capsys):
        (tmp_path / "written").write_text("here")
        print("the test prints")
        cpu_model(torch.ones(rows, 16))
        assert capsys.readouterr().out == "the test prints\\n"

@pytest.mark.parity
def test_of_a_number_of_its_own(cpu_model):
    cpu_model(torch.full((4, 16), float(os.getpid())))

def test_without_a_model():
    pass
"""

ONE_TEST = """
import pytest, torch

@pytest.mark.parity
def test_it(cpu_model):
    cpu_model(torch.ones(2, 16))
"""

WAITING = """
    import os, time
    from pathlib import Path

    if len([*Path(os.environ["STARTS"]).iterdir()]) > 2:  # besides the session and its worker
        Path("waits").touch()
        time.sleep(600)
"""
"""The end of a test that hangs on a side."""


@pytest.fixture
def starts(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which each process that runs a project's suite leaves a file."""
    folder = project.mkdir("starts")
    monkeypatch.setenv(STARTS, str(folder))
    project.makeconftest(f"{COUNTING}{CONFTEST}{RACE}")
    return folder


def git(project: pytest.Pytester, *arguments: str) -> str:
    own = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    said = subprocess.run(
        ["git", *own, *arguments],
        cwd=project.path,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # a question doesn't write the index
    )
    return said.stdout


def write(project: pytest.Pytester, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def results(project: pytest.Pytester) -> dict[str, Mapping[str, Any]]:
    """The results of the last run, by test."""
    rows = json.loads((project.path / "r.json").read_text())["results"]
    return {row["test"]: row for row in rows}


def running(folder: Path) -> Iterator[int]:
    """The processes that run and left a file in the folder."""
    for pid in (int(path.name) for path in folder.iterdir()):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            yield pid


@pytest.fixture
def shop(project: pytest.Pytester, starts: Path) -> pytest.Pytester:  # noqa: ARG001 (processes need the folder)
    """A repository whose commit lacks a test, has one that can't be imported, and a model that answers otherwise."""
    project.makeini("[pytest]\npythonpath = src\n")
    (project.path / ".gitignore").write_text("starts\ncache\nr.json\n.pytest_cache\nbuilds.log\n")
    own = {"tests_of_shop/conftest.py": SHOP_CONFTEST, "tests_of_shop/test_shop.py": ONE_TEST, "test_it.py": TESTS}
    gone = {"test_gone.py": f"import a_package_that_is_no_more\n{ONE_TEST}"}
    write(project, {**own, **gone, "src/shop/model.py": f"FACTOR = 2\n{MODEL}"})
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "before")
    new = {"test_new.py": ONE_TEST, "test_gone.py": ONE_TEST}
    write(project, {**new, "src/shop/model.py": f"FACTOR = 1\n{MODEL}"})
    git(project, "add", "test_new.py")
    return project


def state_of(project: pytest.Pytester) -> tuple[str, ...]:
    """What git says of a repository, and its own files with their sizes and times."""
    asked = ("status --porcelain", "worktree list", "branch --all", "stash list", "diff --cached")
    ours = (path for path in project.path.rglob("*") if path.is_file())
    kept = {"src", "tests_of_shop", ".git"}
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in ours if kept & {*path.parts}]
    return (*map(str, sorted(files)), *(git(project, *each.split()) for each in asked))


def test_a_revision_of_the_code_and_an_environment_at_once(shop: pytest.Pytester) -> None:
    before = state_of(shop)
    options = (f"--cpu-against-env={sys.executable}", "--cpu-against-rev=HEAD", "--cpu-report=r.json")
    result = shop.runpytest_inprocess("--cpu-backends=twin", *options)
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["note: this environment against HEAD*: no installed distribution differs"])
    assert state_of(shop) == before
    found = results(shop)

    for rows in (2, 3):
        answers, race = (found[f"test_it.py::TestOfAClass::test_rows[twin-{rows}]"][kind] for kind in BOTH)
        assert (answers["verdict"], answers["move"]) == ("PASS", 0)
        assert (race["verdict"], race["ratio"]) == ("PASS", 1)

    moved = found["tests_of_shop/test_shop.py::test_it[twin]"]
    assert moved["answers"]["verdict"] == "FAIL"
    assert f"eager itself answers otherwise with HEAD, {sys.executable}: off eager by" in moved["answers"]["sentence"]
    assert "environment" not in moved

    broken = "ModuleNotFoundError: No module named 'a_package_that_is_no_more'"
    for test, why in {
        "test_it.py::test_of_a_number_of_its_own[twin]": "the test's forward 4x16 takes other inputs",
        "test_new.py::test_it[twin]": "there is no such test",
        "test_gone.py::test_it[twin]": f"test_gone.py: {broken}",
    }.items():
        assert "answers" not in found[test]
        assert found[test]["environment"]["verdict"] == "INCONCLUSIVE"
        assert why in found[test]["environment"]["sentence"]


def test_a_killed_session_leaves_no_process(project: pytest.Pytester, starts: Path) -> None:
    pytest.importorskip("xdist")
    project.makepyfile(test_it=f"{ONE_TEST}{WAITING}")
    command = [sys.executable, "-m", "pytest", "-n1", "--cpu-backends=twin", f"--cpu-against-env={sys.executable}"]
    with subprocess.Popen(command, cwd=project.path, stdout=subprocess.DEVNULL) as session:
        wait_for(project.path / "waits", session)
        assert len([*running(starts)]) == 3
        session.kill()
    give_up_s = time.monotonic() + 60
    while left := [*running(starts)]:
        assert time.monotonic() < give_up_s, left
        time.sleep(0.05)


MISTAKES = {
    "--cpu-against-env=nowhere": "there is no *nowhere; name a virtual environment's folder or a Python",
    "--cpu-against-rev=nowhere": "*: * is in no git repository with files (*",
    "--cpu-against-packages=--pre": "*: --pre is an option of pip; name packages, such as *",
    "--cpu-against-rev=": "* names no revision; leave the option out where none is meant",
    "--cpu-against-as=candidate": "* needs another environment: --cpu-against-env, *",
    "--cpu-against-processes=3": "*: '3' is no number of processes; write one from 4 to 12",
}


@pytest.mark.parametrize("option", MISTAKES)
def test_what_cannot_be_had_is_told_in_one_line(project: pytest.Pytester, option: str) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(test_it=ONE_TEST)
    result = project.runpytest_inprocess("--cpu-backends=twin", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in result.errlines if line.strip())
    assert fnmatchcase(line, f"ERROR: cpuaccel: {option.partition('=')[0]}*{MISTAKES[option]}")


def test_an_environment_in_the_file_is_relative_to_it(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeconftest(CONFTEST)
    project.makeini("[pytest]\ncpu_against_env = old\n")
    project.makepyfile(**{"deeper/test_it": ONE_TEST})
    monkeypatch.chdir(project.path / "deeper")
    result = project.runpytest_inprocess("--cpu-backends=twin")
    result.stderr.fnmatch_lines([f"*there is no {project.path / 'old'}; name *"])
