"""The size of a folder on disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def size_of(folder: Path) -> int:
    """Return the bytes in a folder, so far as it is still there: another process may be removing it."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(parent, name).lstat().st_size
    return size
