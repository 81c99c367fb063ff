"""Processes: the ancestors of this one, a description for people, and an end together with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

LONGEST_COMMAND = 80
_PR_SET_PDEATHSIG = 1
"""As in Linux's ``sys/prctl.h``."""
_XDIST_WORKER = "exec(eval(sys.stdin.readline()))"
"""In the command of a worker of pytest-xdist, which tells nobody what it is."""


def ancestors(root: Path = Path("/"), of: int | None = None) -> list[int]:
    """Return the process numbers of the parent, its parent and so on; none where the kernel does not tell.

    They are those of the process ``of``, or of this one.
    """
    found: list[int] = []
    pid = _parent(root, os.getpid() if of is None else of)
    while pid:
        found.append(pid)
        pid = _parent(root, pid)
    return found


def described(pid: int, root: Path = Path("/")) -> str:
    """Return ``pid 4711 (python -m pytest -n4)``; the command is left out where the kernel does not tell."""
    if not pid:
        return "a process that can't be seen from here"
    try:
        arguments = (root / "proc" / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return f"pid {pid}"
    command = " ".join(b" ".join(arguments).decode(errors="replace").split())
    if _XDIST_WORKER in command and (parent := _parent(root, pid)):
        return f"pid {pid} (a worker of {described(parent, root)})"
    if len(command) > LONGEST_COMMAND:
        command = f"{command[: LONGEST_COMMAND - 3]}..."
    return f"pid {pid} ({command})" if command else f"pid {pid}"


def _parent(root: Path, pid: int) -> int:
    """Return the fourth field of ``/proc/PID/stat``; the second, the command in brackets, may contain any character."""
    try:
        text = (root / "proc" / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed; only Linux can do this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
