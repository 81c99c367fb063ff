"""Folders in the cache that take long to make: shared by sessions, and bounded."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from filelock import ReadWriteLock, Timeout

from pytest_cpuaccel.core.folder_size import size_of
from pytest_cpuaccel.environments.own_folder import begin, is_own, remove
from pytest_cpuaccel.machine.lock_holder import holder_of
from pytest_cpuaccel.machine.process import described

Busy = Callable[[str], contextlib.AbstractContextManager[None]]
"""A context that shows what takes long."""

Make = Callable[[Path], tuple[str, ...]]
"""Fills a folder, and returns notes that are kept with it."""

_WHOLE = "cpuaccel-notes.json"
"""The last file of a folder: it is whole. It has the notes."""

_LONGEST_MAKING_S = 3600.0


class _CantKeepError(Exception):
    """The cache can't be used for this folder."""


@dataclass(frozen=True)
class Shelf:
    """At most ``most`` folders and ``limit_bytes`` in ``root``; the least recently used go, unless they are in use.

    A lock for each folder is shared by those that use it, and held by one that makes it; it ends with the process.
    Nobody waits for it for longer than ``wait_s``. A folder that was not finished is made anew.
    """

    root: Path
    most: int
    limit_bytes: int
    busy: Busy = lambda _: contextlib.nullcontext()
    wait_s: float = 600.0

    @contextlib.contextmanager
    def folder(self, name: str, make: Make, about: str = "") -> Iterator[tuple[Path, tuple[str, ...]]]:
        """Yield the folder of this name and its notes, made now unless it was before; it stays while in this context.

        ``about`` names its contents to whoever waits for another session to make it.
        Where the cache can't be written, or the folder can't be had in time, it is made for this context alone.
        """
        with contextlib.ExitStack() as held:
            try:
                folder = self._held(name, make, held, about or name)
            except _CantKeepError:
                folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="cpuaccel-")), name)
                folder.mkdir()
                _write_notes(folder, make(folder))
            with contextlib.suppress(OSError):
                os.utime(folder / _WHOLE)
            yield folder, _notes(folder)
        with contextlib.suppress(OSError):
            self._evict(keep=folder)

    def _held(self, name: str, make: Make, held: contextlib.ExitStack, about: str) -> Path:
        """The whole folder; nobody removes it until ``held`` ends."""
        folder = self.root / name
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            give_up_s = monotonic() + self.wait_s + _LONGEST_MAKING_S
            while monotonic() < give_up_s:
                with contextlib.ExitStack() as reading:
                    self._acquire(folder, reading, about, writes=False)
                    if _is_whole(folder):
                        held.enter_context(reading.pop_all())
                        return folder
                with contextlib.ExitStack() as writing:
                    self._acquire(folder, writing, about, writes=True)
                    if not _is_whole(folder):  # else another process was faster
                        _fill(folder, make)
        except (OSError, Timeout) as refusal:
            raise _CantKeepError from refusal
        raise _CantKeepError

    def _acquire(self, folder: Path, held: contextlib.ExitStack, about: str, *, writes: bool) -> None:
        path = _lock_of(folder)
        lock = ReadWriteLock(path, is_singleton=False)
        hold = lock.write_lock if writes else lock.read_lock
        try:
            held.enter_context(hold(timeout=0))
        except Timeout:
            with self.busy(f"waiting for {described(holder_of(path))}, which installs {about}"):
                held.enter_context(hold(timeout=self.wait_s))

    def _evict(self, keep: Path) -> None:
        folders = sorted((path for path in self.root.iterdir() if is_own(path)), key=_last_use, reverse=True)
        size = 0
        for count, folder in enumerate(sorted(folders, key=lambda path: path != keep), start=1):
            size += size_of(folder)
            if folder != keep and (count > self.most or size > self.limit_bytes):
                _remove_unused(folder)


def _fill(folder: Path, make: Make) -> None:
    begin(folder)
    try:
        _write_notes(folder, make(folder))
    finally:
        if not _is_whole(folder):
            remove(folder)


def _is_whole(folder: Path) -> bool:
    return is_own(folder) and (folder / _WHOLE).is_file()


def _write_notes(folder: Path, notes: tuple[str, ...]) -> None:
    (folder / _WHOLE).write_text(json.dumps(notes), encoding="utf-8")


def _notes(folder: Path) -> tuple[str, ...]:
    return tuple(json.loads((folder / _WHOLE).read_text(encoding="utf-8")))


def _last_use(folder: Path) -> float:
    """When a folder was used last; 0 for what a killed process left, or what another process removes now."""
    try:
        return (folder / _WHOLE).stat().st_mtime
    except OSError:
        return 0


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_unused(folder: Path) -> None:
    with contextlib.suppress(Timeout), ReadWriteLock(_lock_of(folder), is_singleton=False).write_lock(timeout=0):
        remove(folder)
