"""Who holds a lock on a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_cpuaccel.machine.lock_holder import holder_of

HOLD = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); input()"


def test_the_process_that_locked_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    assert holder_of(path) == 0
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    assert holder_of(path) == holder.pid
    holder.communicate(b"\n")
    assert holder_of(path) == 0


def test_other_files_and_this_process_and_those_who_wait_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    path = tmp_path / "lock"
    path.touch()
    number = path.stat().st_ino
    lines = (
        f"1: POSIX  ADVISORY  WRITE 11 fe:00:9{number} 0 EOF",
        f"2: POSIX  ADVISORY  WRITE {os.getpid()} fe:00:{number} 0 EOF",
        f"2: -> POSIX  ADVISORY  WRITE 12 fe:00:{number} 0 EOF",
        f"3: POSIX  ADVISORY  READ 13 fe:00:{number} 1073741826 1073742335",
    )
    (tmp_path / "proc" / "locks").write_text("\n".join(lines))
    assert holder_of(path, tmp_path) == 13


def test_where_the_kernel_does_not_tell_nobody_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert holder_of(tmp_path / "lock", tmp_path) == 0
    assert holder_of(tmp_path / "gone") == 0
