"""Files that are never half written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError

_ERRORS = "backslashreplace"
"""For what UTF-8 does not have, such as bytes in the name of a file that are no text."""


def write_whole(path: Path, parts: Iterable[str]) -> None:
    """Write a text file, or leave it as it was: the text is written beside it, then takes its place.

    A link is followed, permissions are kept, and what is no file, such as ``/dev/stdout``, is written to directly.

    Raises:
        OSError: it can't be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8", errors=_ERRORS) as file:
            file.writelines(parts)
        return
    scratch = _scratch(target)
    try:
        with scratch.open("w", encoding="utf-8", errors=_ERRORS) as file:
            file.writelines(parts)
        if target.exists():
            scratch.chmod(target.stat().st_mode & 0o7777)
        scratch.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def _scratch(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def check_writable(path: Path, where: str) -> None:
    """Check that :func:`write_whole` can write a file; this leaves nothing but the folders above it.

    ``where`` is the place of the setting that names it, for messages.

    Raises:
        UsageError: it can't be; the text names the path and the system's reason.
    """
    try:
        _try_to_write(path)
    except OSError as refusal:
        raise UsageError(f"{where}: {refused(path, refusal)}") from None


def refused(path: Path, refusal: OSError) -> str:
    """Return what to say of a file that can't be written."""
    return f"can't write {str(path)!r}: {refusal.strerror}"


def _try_to_write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    target = Path(os.path.realpath(path))
    if target.exists():
        target.open("a").close()
    if target.is_file() or not target.exists():
        scratch = _scratch(target)
        scratch.touch()
        scratch.unlink()
