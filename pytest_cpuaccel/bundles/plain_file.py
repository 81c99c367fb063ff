"""A plain file within a folder that a stranger may have filled."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.units import format_bytes


def plain_file(path: Path, most_bytes: int) -> int:
    """Return the size of a plain file.

    Raises:
        UsageError: there is none, it is a link or no file, or it is larger than ``most_bytes``.
    """
    try:
        found = path.lstat()
    except (OSError, ValueError):
        raise UsageError(f"there is no file {path.name!r}") from None
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"{path.name!r} is a link; a bundle holds plain files alone")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path.name!r} is no plain file")
    if found.st_size > most_bytes:
        raise UsageError(
            f"{path.name!r} has {format_bytes(found.st_size)}; more than {format_bytes(most_bytes)} is not read"
        )
    return found.st_size


def check_inner(path: str) -> None:
    """Check that a relative path leads to a place within its folder, and is written in one way only.

    Raises:
        UsageError: it does not.
    """
    parts = path.split("/")
    is_odd = any(part in ("", ".", "..") for part in parts) or "\\" in path or ":" in path or "\0" in path
    if is_odd or PurePosixPath(path).is_absolute() or len(path) > 1000 or not path.isprintable():
        raise UsageError(f"{path[:80]!r} is no path within the bundle")
