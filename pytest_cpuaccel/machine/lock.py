"""The lock by which one timing runs alone on this machine; all other work shares it.

It is made of POSIX record locks on single bytes of one file, which is never written to. The kernel frees the locks of
a process that died, however it died, and tells which process holds one.

- Byte 0 is the turn. A timing holds it to its end; a process that begins to share the machine holds it for a moment.
- Byte ``SHARES + pid`` is held by a process at work. A timing takes the turn, then waits until no process works.
- Byte ``WAITS + pid`` is held for each waiting process and for its ancestors, which wait for it. A timing does not wait
  for these. So two tests that each started a pytest session of their own don't wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_cpuaccel.core.errors import BusyError
from pytest_cpuaccel.machine.lock_file import WAITS, Holder, LockFile, file_at
from pytest_cpuaccel.machine.lock_wait import Patience, tell_nobody, wait
from pytest_cpuaccel.machine.process import ancestors

PATIENCE_S = 600.0
"""Longer than a timing, a model's build, or most tests take."""

TURN = 0
SHARES = 1


def default_lock_path() -> Path:
    """Return the path of the lock: the same for every session, of every user, with the same temporary folder."""
    return Path(tempfile.gettempdir()) / "cpuaccel.lock"


@dataclass
class MachineLock:
    """Tests share the machine, a timing has it alone; no wait is longer than ``patience_s``.

    Each wait in vain halves the patience for the next, until a wait succeeds. So a process that hangs costs at most
    twice the patience, however many tests there are.

    ``waited_for_sessions_s`` and ``waited_for_workers_s`` are the seconds of all waits so far: the latter for processes
    of the same run. Those are what ``controller`` started, the process that started this one for a part of its tests.
    """

    path: Path
    patience_s: float = PATIENCE_S
    controller: int | None = None
    waited_for_sessions_s: float = 0.0
    waited_for_workers_s: float = 0.0
    _to_share_s: float = field(init=False)
    _to_time_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._to_share_s = self._to_time_s = self.patience_s

    def check(self) -> None:
        """Open the file.

        Raises:
            UsageError: it can't be opened.
        """
        file_at(self.path, os.getpid())

    @contextlib.contextmanager
    def shared(self, tell: Callable[[str], None] = tell_nobody) -> Iterator[str]:
        """Work beside others, but not during a timing; within another share this does nothing.

        ``tell`` is called with the process that is waited for.
        Yields "", or, if the wait was too long, the reason why the work goes on all the same.
        """
        held = self._file
        share = SHARES + os.getpid()
        if held.has(share) or held.has(TURN):
            yield ""
            return
        refusal = ""
        patience = Patience.of(self._to_share_s, tell, self.count)
        self._to_share_s /= 2
        try:
            with _turn(held, fcntl.LOCK_SH, patience):
                held.take(share, fcntl.LOCK_SH)
            self._to_share_s = self.patience_s
        except BusyError as busy:
            refusal = str(busy)
        try:
            yield refusal
        finally:
            held.give(share)

    @contextlib.contextmanager
    def alone(self, tell: Callable[[str], None] = tell_nobody) -> Iterator[None]:
        """Have the machine alone; shares of this process and of its ancestors don't count.

        ``tell`` is called with the process that is waited for.

        Raises:
            BusyError: it did not become free in time; the text names who holds it.
        """
        held = self._file
        if held.has(TURN):
            yield
            return
        patience = Patience.of(self._to_time_s, tell, self.count)
        self._to_time_s /= 2
        with _turn(held, fcntl.LOCK_EX, patience):
            wait(held, lambda: _at_work(held), "is at work", patience)
            self._to_time_s = self.patience_s
            yield

    def count(self, pid: int, seconds: float) -> None:
        """Count a wait for another process, for this lock or for another one; the process is 0 if unknown."""
        if self.controller is not None and self.controller in ancestors(of=pid):
            self.waited_for_workers_s += seconds
        else:
            self.waited_for_sessions_s += seconds

    @property
    def _file(self) -> LockFile:
        return file_at(self.path, os.getpid())


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
def _turn(held: LockFile, kind: int, patience: Patience) -> Iterator[None]:
    """Hold the turn. If an ancestor holds it for a timing, use that: the ancestor waits for this process."""

    def in_the_way() -> Holder | None:
        if held.take(TURN, kind):
            return None
        holder = held.holder(TURN, TURN + 1, kind)
        return None if holder and holder.pid in held.ancestors else holder or Holder(0, TURN)

    try:
        if in_the_way():
            with held.standing_still():
                wait(held, in_the_way, "has the machine alone", patience)
        yield
    finally:
        held.give(TURN)
