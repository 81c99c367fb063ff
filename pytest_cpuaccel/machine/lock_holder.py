"""Which process holds a lock on a file, as the kernel lists them: opening the file could drop locks of our own."""

from __future__ import annotations

import os
from pathlib import Path

_PID, _PLACE = 4, 5
"""Fields of a line of ``/proc/locks``, such as ``1: POSIX ADVISORY WRITE 4711 fe:00:2335447 0 EOF``."""


def holder_of(path: Path, root: Path = Path("/")) -> int:
    """Return the number of another process that has locked the file; 0 where the kernel does not tell."""
    try:
        number = path.stat().st_ino
        lines = (root / "proc" / "locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    holding = [fields for fields in map(str.split, lines) if len(fields) > _PLACE and "->" not in fields]
    pids = (int(fields[_PID]) for fields in holding if fields[_PLACE].endswith(f":{number}"))
    return next((pid for pid in pids if pid not in (0, -1, os.getpid())), 0)
