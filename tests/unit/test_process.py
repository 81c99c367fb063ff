from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_cpuaccel.machine.process import ancestors, described


def made(root: Path, pid: int, name: str, text: str) -> None:
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_ancestors_are_parents_of_parents(tmp_path: Path) -> None:
    made(tmp_path, os.getpid(), "stat", f"{os.getpid()} (a ) b) S 77 1 1\n")
    made(tmp_path, 77, "stat", "77 (shell) S 1 1 1\n")
    made(tmp_path, 1, "stat", "1 (init) S 0 1 1\n")
    assert ancestors(tmp_path) == [77, 1]


def test_where_the_kernel_does_not_tell_there_are_none(tmp_path: Path) -> None:
    assert ancestors(tmp_path) == []


def test_this_process_is_an_ancestor_of_what_it_starts() -> None:
    code = "from pytest_cpuaccel.machine.process import ancestors; print(*ancestors())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(os.getpid()) in told.stdout.split()


def test_a_process_is_described_by_its_command_on_one_short_line(tmp_path: Path) -> None:
    made(tmp_path, 5, "cmdline", "python\0-m\0pytest\0-k\0a\nb\0")
    made(tmp_path, 6, "cmdline", "x" * 200)
    made(tmp_path, 7, "cmdline", "")
    assert described(5, tmp_path) == "pid 5 (python -m pytest -k a b)"
    assert described(6, tmp_path) == f"pid 6 ({'x' * 77}...)"
    assert described(7, tmp_path) == "pid 7"
    assert described(8, tmp_path) == "pid 8"
    assert described(0, tmp_path) == "a process that can't be seen from here"


def test_a_worker_of_xdist_is_described_by_who_started_it(tmp_path: Path) -> None:
    made(tmp_path, 5, "cmdline", "python\0-u\0-c\0import sys;exec(eval(sys.stdin.readline()))\0")
    made(tmp_path, 5, "stat", "5 (python) S 4 1 1\n")
    made(tmp_path, 4, "cmdline", "python\0-m\0pytest\0-n2\0")
    assert described(5, tmp_path) == "pid 5 (a worker of pid 4 (python -m pytest -n2))"


def test_ancestors_of_another_process_are_found_too(tmp_path: Path) -> None:
    made(tmp_path, 5, "stat", "5 (python) S 4 1 1\n")
    made(tmp_path, 4, "stat", "4 (python) S 0 1 1\n")
    assert ancestors(tmp_path, of=5) == [4]
