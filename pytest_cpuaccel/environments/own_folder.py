"""Folders that were made here, told by a marker from what others keep: these alone are ever removed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pytest_cpuaccel.environments.bootstrap import OWN_MARKER

_MARKER = OWN_MARKER
"""The first file of such a folder and the last that goes; it holds the folder's name."""


def begin(folder: Path) -> None:
    """Make a folder with its marker; what a killed process had begun goes.

    Raises:
        OSError: it can't be made, or something is there that wasn't made here.
    """
    remove(folder)
    folder.mkdir(parents=True)
    (folder / _MARKER).write_text(folder.name, encoding="utf-8")


def is_own(folder: Path) -> bool:
    """Tell whether a folder was made here, under this name: no link to it, and none that was moved or copied."""
    marker = folder / _MARKER
    if folder.is_symlink() or marker.is_symlink() or not marker.is_file():
        return False
    try:
        return marker.read_text(encoding="utf-8", errors="replace") == folder.name
    except OSError:  # another process removes it now
        return False


def remove(folder: Path) -> None:
    """Remove a folder that was made here, and an empty one; links in it go, and not what they lead to."""
    if is_own(folder):
        for path in folder.iterdir():
            if path.name != _MARKER:
                _remove_any(path)
        with contextlib.suppress(OSError):
            (folder / _MARKER).unlink()
    if not folder.is_symlink():
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
