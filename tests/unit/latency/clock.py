"""A clock that only calls move forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from types import SimpleNamespace


class Clock:
    """``ns`` on the wall, ``cpu_ns`` of this process, and what preemption did to it."""

    def __init__(self) -> None:
        self.ns = 0
        self.cpu_ns = 0
        self.queued_ns = 0
        self.switches = 0

    def wall(self) -> int:
        return self.ns

    def cpu(self) -> int:
        return self.cpu_ns

    def queued(self) -> int:
        return self.queued_ns

    def usage(self, who: int) -> SimpleNamespace:
        del who
        return SimpleNamespace(ru_nivcsw=self.switches)

    def call(self, durations_ns: Iterator[int] | int) -> Callable[[], None]:
        """Return a call that takes these durations, all of them on the processor."""
        durations = repeat(durations_ns) if isinstance(durations_ns, int) else durations_ns

        def run() -> None:
            ns = next(durations)
            self.ns += ns
            self.cpu_ns += ns

        return run
