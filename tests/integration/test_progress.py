"""Progress of a slow backend, as a user sees it on a terminal and in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

CONFTEST = """
import time
import pytest, torch
from pytest_cpuaccel import Backend, BuiltModel
from pytest_cpuaccel.plugin.stash import progress_of

def load(subject, folder):
    time.sleep(1.0)
    return BuiltModel(subject.fresh_module(), threads=torch.get_num_threads())

def pytest_cpuaccel_backends(config):
    return [Backend(name="slow", summary="slow", load=load)]

@pytest.fixture(scope="session")
def eager_model():
    return torch.nn.Linear(4, 4).eval()

@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_configure_node(node):
    shorten(node.config)

def pytest_runtestloop(session):
    if not hasattr(session.config, "workerinput"):
        shorten(session.config)

def shorten(config):
    display = progress_of(config).display
    if display is not None:
        display.first_s, display.every_s = 0.0, 0.01
"""
TESTS = """
import pytest, torch

def test_before():
    pass

@pytest.mark.parity
def test_it(cpu_model):
    print("said by the test")
    cpu_model(torch.ones(2, 4))
    if {fails}:
        assert False

def test_after():
    pass
"""
LINE = re.compile(r"cpuaccel: test_it\.py::[\w\[\]]+: (?:gw\d: )?(.+), \d+ s so far")


@pytest.fixture
def slow_project(project: pytest.Pytester) -> pytest.Pytester:
    project.makeconftest(CONFTEST)
    project.makepyfile(test_it=TESTS.format(fails=False))
    return project


def log_of(project: pytest.Pytester, *args: str) -> list[str]:
    """Lines of what a run wrote to a file, as in CI; none of ours stand in its standard error."""
    path = project.path / "log"
    with path.open("wb") as log:
        command = [sys.executable, "-m", "pytest", "--cpu-backends=slow", "-p", "no:cacheprovider", *args]
        run = subprocess.run(command, cwd=project.path, stdout=log, stderr=subprocess.PIPE, check=False)
    sys.stderr.buffer.write(run.stderr)
    assert b"cpuaccel: " not in run.stderr
    return path.read_text().splitlines()


def terminal_of(project: pytest.Pytester, *args: str) -> str:
    """All that a run wrote to a pseudo-terminal, which is no process's controlling terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "--cpu-backends=slow", "-p", "no:cacheprovider", *args]
    run = subprocess.Popen(
        command, cwd=project.path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            written += chunk
    except OSError:  # the other end is closed
        pass
    assert run.wait() == 0
    os.close(ours)
    return written.decode()


@pytest.mark.parametrize(
    "args", [(), ("-s", "-v"), ("--capture=tee-sys", "-q"), ("-n2",)], ids=["alone", "loud", "tee", "two_workers"]
)
def test_a_log_has_whole_lines_of_what_is_done(slow_project: pytest.Pytester, args: tuple[str, ...]) -> None:
    if args == ("-n2",):
        pytest.importorskip("xdist")
    lines = log_of(slow_project, *args)
    assert any("3 passed" in line for line in lines), lines
    ours = [line for line in lines if "so far" in line]
    assert [line for line in ours if not LINE.fullmatch(line)] == []
    assert "building Linear for slow" in {line.rpartition(", ")[0].rpartition(": ")[2] for line in ours}


@pytest.mark.parametrize("args", [("-qq",), ("-p", "no:terminal")])
def test_who_wants_to_hear_nothing_hears_nothing(slow_project: pytest.Pytester, args: tuple[str, ...]) -> None:
    assert not [line for line in log_of(slow_project, *args) if "so far" in line]


def test_progress_is_in_no_report_and_in_no_captured_output(slow_project: pytest.Pytester) -> None:
    slow_project.makepyfile(test_it=TESTS.format(fails=True))
    lines = log_of(slow_project, "--junitxml=j.xml", "-o", "junit_logging=all", "--cpu-report=r.json,r.md,r.html")
    assert [line for line in lines if LINE.fullmatch(line)]
    below = lines[lines.index("----------------------------- Captured stdout call -----------------------------") :]
    assert below[1] == "said by the test"
    assert not [line for line in below if "so far" in line]
    junit = ElementTree.parse(slow_project.path / "j.xml")
    assert "said by the test" in "".join(junit.getroot().itertext())
    for name in ("j.xml", "r.json", "r.md", "r.html"):
        assert "so far" not in Path(slow_project.path, name).read_text()


@pytest.mark.parametrize("args", [(), ("-n2",)], ids=["alone", "two_workers"])
def test_a_terminal_shows_a_line_and_wipes_it(
    slow_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    if args:
        pytest.importorskip("xdist")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("PY_COLORS", raising=False)
    written = terminal_of(slow_project, *args)
    assert re.search(r"\x1b7 \[(gw\d: )?building Linear for slow, \d s\]\x1b8", written)
    assert "so far" not in written
    after = written.rpartition("\x1b8")[2]
    assert after.startswith("\x1b[K")
    assert "3 passed" in after


def test_a_terminal_without_colours_has_lines_as_in_a_log(slow_project: pytest.Pytester) -> None:
    written = terminal_of(slow_project, "--color=no")
    assert "\x1b" not in written
    assert [line for line in written.splitlines() if LINE.fullmatch(line)]
