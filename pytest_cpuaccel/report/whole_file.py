"""Files that are never half written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from pytest_cpuaccel.core.errors import UsageError

_ERRORS = "backslashreplace"
"""For what UTF-8 does not have, such as bytes in the name of a file that are no text."""


def check_writable(paths: Iterable[Path], where: str) -> None:
    """Check that :func:`write_whole` can write files; this leaves nothing but the folders above them.

    ``where`` is the place of the setting that names them, for messages.

    Raises:
        UsageError: it can't write one; the text names the path and the system's reason, or what an HTML file needs.
    """
    for path in paths:
        if path.suffix == ".html":
            _check_jinja(path, where)
        _check(path, where)


def _check_jinja(path: Path, where: str) -> None:
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{where}: {str(path)!r} needs Jinja2, which can't be imported: {error}; "
            'pip install "pytest-cpuaccel[html]"'
        ) from None


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


def _check(path: Path, where: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = Path(os.path.realpath(path))
        if target.exists():
            target.open("a").close()
        if target.is_file() or not target.exists():
            scratch = _scratch(target)
            scratch.touch()
            scratch.unlink()
    except OSError as refusal:
        raise UsageError(f"{where}: can't write {str(path)!r}: {refusal.strerror}") from None
