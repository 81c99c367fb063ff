"""The lock that lets one clock run alone on this machine while everything else shares it.

It is made of POSIX record locks on single bytes of one file, which is never written to. The kernel frees the locks of
a process that died, however it died, and tells which process holds one.

- Byte 0 is the turn. A clock holds it to the end; who begins to share the machine holds it for a moment.
- Byte ``SHARES + pid`` is held by a process that works. With the turn in hand, a clock waits until nobody works.
- Byte ``WAITS + pid`` is held for every process that stands still, so that nobody waits for it: each process that
  waits, and its ancestors, which wait for it. This is what keeps two tests that each started a pytest session of
  their own from waiting for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from pytest_cpuaccel.core.errors import BusyError, UsageError
from pytest_cpuaccel.core.progress import say_nothing
from pytest_cpuaccel.machine.process import ancestors, described

PATIENCE_S = 600.0
"""Longer than a clock takes, a model's build, or most tests."""

TURN = 0
SHARES = 1
WAITS = 1 << 32
"""No process has so high a number."""

FIRST_POLL_S, LAST_POLL_S = 0.001, 0.1
TELL_AFTER_S = 1.0

_FLOCK = "hhqqi4x"
"""``struct flock`` on 64-bit Linux: type, whence, start, length, pid."""


def default_lock_path() -> Path:
    """Return the path of the lock: the same for every session, of every user, with the same temporary folder."""
    return Path(tempfile.gettempdir()) / "cpuaccel.lock"


class Deadline(NamedTuple):
    """When a wait of so many seconds ends."""

    limit_s: float
    at_s: float

    @classmethod
    def after(cls, limit_s: float) -> Deadline:
        """Return the end of a wait that begins now."""
        return cls(limit_s, monotonic() + limit_s)


class Holder(NamedTuple):
    """A process that holds a byte; ``pid`` is 0 where it can't be seen from here, as from within a container."""

    pid: int
    byte: int


@dataclass
class MachineLock:
    """Readers share the machine, a clock has it alone; nobody waits for longer than ``patience_s``.

    Each wait in vain halves the patience for the next, until one is not: a process that hangs costs twice the patience,
    however many tests there are.
    """

    path: Path
    patience_s: float = PATIENCE_S
    _to_share_s: float = field(init=False)
    _to_time_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._to_share_s = self._to_time_s = self.patience_s

    def check(self) -> None:
        """Open the file.

        Raises:
            UsageError: it can't be opened.
        """
        _file_at(self.path, os.getpid())

    @contextlib.contextmanager
    def shared(self) -> Iterator[str]:
        """Work beside others, but not while anybody's clock runs; within another share this does nothing.

        Yields "", or, where patience ended, why the work goes on all the same.
        """
        held = self._file
        share = SHARES + os.getpid()
        if held.has(share) or held.has(TURN):
            yield ""
            return
        refusal = ""
        deadline = Deadline.after(self._to_share_s)
        self._to_share_s /= 2
        try:
            with _turn(held, fcntl.LOCK_SH, deadline, say_nothing):
                held.take(share, fcntl.LOCK_SH)
            self._to_share_s = self.patience_s
        except BusyError as busy:
            refusal = str(busy)
        try:
            yield refusal
        finally:
            held.give(share)

    @contextlib.contextmanager
    def alone(self, tell: Callable[[str], None] = say_nothing) -> Iterator[None]:
        """Have the machine alone; a share that this process holds, or an ancestor, is in nobody's way.

        ``tell`` hears whom the wait is for.

        Raises:
            BusyError: it did not become free in time; the text names who holds it.
        """
        held = self._file
        if held.has(TURN):
            yield
            return
        deadline = Deadline.after(self._to_time_s)
        self._to_time_s /= 2
        with _turn(held, fcntl.LOCK_EX, deadline, tell):
            _wait(held, lambda: _at_work(held), "is at work", deadline, tell)
            self._to_time_s = self.patience_s
            yield

    @property
    def _file(self) -> LockFile:
        return _file_at(self.path, os.getpid())


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
        """Let nobody wait for this process or its ancestors."""
        still = [WAITS + pid for pid in (os.getpid(), *self.ancestors)]
        for byte in still:
            self.take(byte, fcntl.LOCK_SH)
        try:
            yield
        finally:
            for byte in still:
                self.give(byte)


def _at_work(held: LockFile) -> Holder | None:
    """Another process that shares the machine and does not stand still, as this one's ancestors do."""
    ranges = [(SHARES, WAITS)]
    while ranges:
        start, end = ranges.pop()
        holder = held.holder(start, end) if start < end else None
        if holder is None:
            continue
        stands_still = held.holder(WAITS + holder.byte - SHARES, WAITS + holder.byte - SHARES + 1)
        if not stands_still and holder.pid not in held.ancestors:
            return holder
        ranges += [(start, holder.byte), (holder.byte + 1, end)]
    return None


@contextlib.contextmanager
def _turn(held: LockFile, kind: int, deadline: Deadline, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the turn. An ancestor that holds it as a clock lends it: it waits for this process."""

    def in_the_way() -> Holder | None:
        if held.take(TURN, kind):
            return None
        holder = held.holder(TURN, TURN + 1, kind)
        return None if holder and holder.pid in held.ancestors else holder or Holder(0, TURN)

    try:
        if in_the_way():
            with held.standing_still():
                _wait(held, in_the_way, "has the machine alone", deadline, tell)
        yield
    finally:
        held.give(TURN)


def _wait(
    held: LockFile,
    in_the_way: Callable[[], Holder | None],
    doing: str,
    deadline: Deadline,
    tell: Callable[[str], None],
) -> None:
    poll_s, told_s = FIRST_POLL_S, monotonic()
    while holder := in_the_way():
        if monotonic() >= deadline.at_s:
            raise BusyError(
                f"the machine did not become free in {deadline.limit_s:.3g} s: {described(holder.pid)} {doing} "
                f"({held.path}); end it if it hangs, or allow more time with --cpu-wait"
            )
        if monotonic() >= told_s + TELL_AFTER_S:
            tell(f"waiting for {described(holder.pid)}")
            told_s = monotonic()
        sleep(poll_s)
        poll_s = min(2 * poll_s, LAST_POLL_S)


@functools.cache
def _file_at(path: Path, pid: int) -> LockFile:  # noqa: ARG001
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
