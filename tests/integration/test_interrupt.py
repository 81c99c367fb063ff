"""Runs that end early: what was found until then is kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TESTS = """
import time
from pathlib import Path

import pytest, torch

@pytest.mark.parity
def test_first(cpu_model):
    cpu_model(torch.ones(2, 16))

@pytest.mark.parity
def test_second(cpu_model):
    cpu_model(torch.ones(3, 16))
    Path("in-second").touch()
    time.sleep(600)
"""


def interrupted(project: pytest.Pytester, signum: int, *args: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run until the second test has begun, then send a signal; return exit code, output and JSON results."""
    project.makepyfile(test_it=TESTS)
    command = [sys.executable, "-m", "pytest", "--cpu-backends=twin", "--cpu-report=r.json,r.md", *args]
    with subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    ) as process:
        wait_for(project.path / "in-second", process)
        process.send_signal(signum)
        output, _ = process.communicate(timeout=120)
    return process.returncode, output, json.loads((project.path / "r.json").read_text())["results"]


def hear_interrupts() -> None:
    """A shell starts background jobs deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.05)


def test_ctrl_c_keeps_reports_and_shows_the_table(mlp_project: pytest.Pytester) -> None:
    code, output, results = interrupted(mlp_project, signal.SIGINT)
    assert code == pytest.ExitCode.INTERRUPTED
    first, second = results
    assert (first["test"], first["parity"]["verdict"]) == ("test_it.py::test_first[twin]", "PASS")
    assert (second["test"], second["outcome"]) == ("test_it.py::test_second[twin]", "interrupted")
    assert second["ending"] == {"kind": "error", "reason": "the run was interrupted"}
    assert "forward 2x16" in (mlp_project.path / "r.md").read_text()
    pytest.LineMatcher(output.splitlines()).fnmatch_lines(["cpuaccel: 1 PASS, 1 error"])


def test_a_killed_run_leaves_a_whole_json_report(mlp_project: pytest.Pytester) -> None:
    code, _, results = interrupted(mlp_project, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert [result["test"] for result in results] == ["test_it.py::test_first[twin]"]


def test_ctrl_c_while_judging_keeps_the_findings_that_are_complete(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        from pathlib import Path

        import pytest, torch
        from torch import nn

        class Slow(nn.Module):
            def forward(self, x):
                if len(x) == 3:
                    if Path("called").exists():
                        raise KeyboardInterrupt
                    Path("called").touch()
                return x * 2

        @pytest.mark.parity
        def test_it(cpu_accelerate):
            model = cpu_accelerate(Slow().eval())
            model(torch.ones(2, 16))
            model(torch.ones(3, 16))
        """
    )
    result = mlp_project.runpytest_subprocess("--cpu-backends=twin", "--cpu-report=r.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (kept,) = json.loads((mlp_project.path / "r.json").read_text())["results"]
    assert (kept["call"], kept["outcome"], kept["parity"]["verdict"]) == ("forward 2x16", "interrupted", "PASS")
    result.stdout.fnmatch_lines(["Slow *forward 2x16 *twin *PASS"])
