"""The file of the machine's lock, whose bytes are locked by POSIX record locks; nothing is ever written to it."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.machine.process import ancestors

WAITS = 1 << 32
"""No process has so high a number."""

_FLOCK = "hhqqi4x"
"""``struct flock`` on 64-bit Linux: type, whence, start, length, pid."""


class Holder(NamedTuple):
    """A process that holds a byte; ``pid`` is 0 where it can't be seen from here, as from within a container."""

    pid: int
    byte: int


@dataclass
class LockFile:
    """The file of a lock as one process has it open; ``_held`` are the bytes that it locked."""

    path: Path
    descriptor: int
    ancestors: list[int] = field(default_factory=ancestors)
    _held: set[int] = field(default_factory=set)

    def has(self, byte: int) -> bool:
        """Tell whether this process holds a byte; the kernel tells only of others."""
        return byte in self._held

    def take(self, byte: int, kind: int) -> bool:
        """Lock a byte if nobody is in the way; tell whether it is locked now."""
        try:
            fcntl.lockf(self.descriptor, kind | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # POSIX lets a system choose between the two
            return False
        self._held.add(byte)
        return True

    def give(self, byte: int) -> None:
        """Let go of a byte, held or not."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, byte)
        self._held.discard(byte)

    def holder(self, start: int, end: int, kind: int = fcntl.LOCK_EX) -> Holder | None:
        """Return another process that is in the way of locking these bytes; of several, any."""
        wanted = fcntl.F_WRLCK if kind == fcntl.LOCK_EX else fcntl.F_RDLCK
        question = struct.pack(_FLOCK, wanted, os.SEEK_SET, start, end - start, 0)
        found, _, byte, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(self.descriptor, fcntl.F_GETLK, question))
        return None if found == fcntl.F_UNLCK else Holder(pid, byte)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Mark this process and its ancestors as waiting, so that nobody waits for them."""
        still = [WAITS + pid for pid in (os.getpid(), *self.ancestors)]
        for byte in still:
            self.take(byte, fcntl.LOCK_SH)
        try:
            yield
        finally:
            for byte in still:
                self.give(byte)


@functools.cache
def file_at(path: Path, pid: int) -> LockFile:  # noqa: ARG001
    """Open a lock once in a process and never close it: closing any descriptor of a file drops all locks on it.

    ``pid`` is there for a forked process, which inherits none of its parent's locks.

    Raises:
        UsageError: the file can't be opened for writing.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return LockFile(path, os.open(path, flags))
        except FileNotFoundError:
            return LockFile(path, _created(path, flags))
    except OSError as refusal:
        raise UsageError(
            f"the machine's lock {path} can't be opened: {refusal.strerror}; set TMPDIR to a folder that can be written"
        ) from None


def _created(path: Path, flags: int) -> int:
    """Create the file for all users. (Kernels may refuse O_CREAT for a file of another user's in a shared folder.)"""
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:  # another process was faster
        return os.open(path, flags)
    os.fchmod(descriptor, 0o666)
    return descriptor
