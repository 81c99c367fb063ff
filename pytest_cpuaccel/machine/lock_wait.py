"""Waiting for another process to get out of the way, until patience ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

from pytest_cpuaccel.core.errors import BusyError
from pytest_cpuaccel.machine.lock_file import Holder, LockFile
from pytest_cpuaccel.machine.process import described

FIRST_POLL_S, LAST_POLL_S = 0.001, 0.1
TELL_AFTER_S = 1.0


def tell_nobody(text: str) -> None:
    """Let nobody hear whom a wait is for."""


@dataclass(frozen=True)
class Patience:
    """A wait of at most ``limit_s``, which ends ``at_s``.

    ``tell`` hears whom it is for, ``count`` the process number of whoever was in the way, and for how many seconds.
    """

    limit_s: float
    at_s: float
    tell: Callable[[str], None]
    count: Callable[[int, float], None]

    @classmethod
    def of(cls, limit_s: float, tell: Callable[[str], None], count: Callable[[int, float], None]) -> Patience:
        """Return that of a wait which begins now."""
        return cls(limit_s, monotonic() + limit_s, tell, count)


def wait(held: LockFile, in_the_way: Callable[[], Holder | None], doing: str, patience: Patience) -> None:
    """Wait until nobody is in the way; ``doing`` says what whoever is does meanwhile.

    Raises:
        BusyError: patience ended; the text names who is in the way.
    """
    poll_s, told_s = FIRST_POLL_S, monotonic()
    while holder := in_the_way():
        if monotonic() >= patience.at_s:
            raise BusyError(
                f"the machine did not become free in {patience.limit_s:.3g} s: {described(holder.pid)} {doing} "
                f"({held.path}); end it if it hangs, or allow more time with --cpu-wait"
            )
        if monotonic() >= told_s + TELL_AFTER_S:
            patience.tell(f"waiting for {described(holder.pid)}, which {doing}")
            told_s = monotonic()
        began_s = monotonic()
        sleep(poll_s)
        patience.count(holder.pid, monotonic() - began_s)
        poll_s = min(2 * poll_s, LAST_POLL_S)
