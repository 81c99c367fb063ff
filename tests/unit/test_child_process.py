"""Programs in processes of their own: how they end, and that nothing of them runs on."""

from __future__ import annotations

import time
from pathlib import Path

from pytest_cpuaccel.machine.child_process import ChildProcess, ExitStatus, Program, run_program

HANGS = "import time; time.sleep(600)"


def test_how_a_program_ended_is_a_sentence_with_its_last_line(tmp_path: Path) -> None:
    program = Program(("-c", "import sys; print('one'); print(' two '); sys.exit(3)"), log=tmp_path / "log")
    assert str(run_program(program, 60)) == "ended with exit code 3: two"
    assert str(ExitStatus(-9)) == "killed by SIGKILL"
    assert str(ExitStatus(-9, "said")) == "killed by SIGKILL: said"


def test_a_program_that_takes_longer_is_killed_with_what_it_started(tmp_path: Path) -> None:
    starts = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {HANGS!r}]).pid); {HANGS}"
    child = ChildProcess(Program(("-c", starts), log=tmp_path / "log"))
    try:
        while not (started := (tmp_path / "log").read_text().strip()):
            assert child.wait(0.05) is None
    finally:
        child.end()
    status = Path("/proc", started, "stat")
    for _ in range(100):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {started} runs on")


def test_a_program_sees_the_environment_that_was_added() -> None:
    program = Program(("-c", "import os, sys; sys.exit(int(os.environ['CODE']))"), {"CODE": "7"})
    assert run_program(program, 60) == ExitStatus(7)
