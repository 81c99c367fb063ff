"""How long fresh processes took to start a model, and to build one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageTime:
    """How long one stage of a process took: its imports, the load."""

    name: str
    ns: int


@dataclass(frozen=True)
class Attempt:
    """One process: ``queued_ns`` of its ``ns`` went by waiting for a processor.

    ``slowdown`` is the time of a probe right after it over the probe's best, and ``undisturbed`` tells whether that is
    what a quiet machine shows. What a report does not keep of an attempt is None, or no stage.
    """

    ns: int
    queued_ns: int | None = None
    slowdown: float | None = None
    undisturbed: bool | None = None
    stages: tuple[StageTime, ...] = ()


@dataclass(frozen=True)
class Starts:
    """Processes that did the same, in order; one at least."""

    attempts: tuple[Attempt, ...]

    @property
    def best(self) -> Attempt:
        """Return the fastest attempt."""
        return min(self.attempts, key=lambda attempt: attempt.ns)


@dataclass(frozen=True)
class StartupMeasurement:
    """``cold_start`` is from a process's start to its first answer, ``build`` is export and load.

    None stands for what was not measured.
    """

    cold_start: Starts | None = None
    build: Starts | None = None
