"""What a fresh process reports: how long each of its stages took, and the memory it held after each."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.machine.memory import Memory

IMPORTS, EXPORT, LOAD, FIRST_CALL = "imports", "export", "load", "first call"
"""What stages are called."""

REPORT = "report.pickle"
"""The file in which it stands."""


@dataclass(frozen=True)
class Stage:
    """``queued_ns`` of its ``ns`` went by waiting for a processor; ``memory`` is that at its end, None if unknown."""

    name: str
    ns: int
    queued_ns: int
    memory: Memory | None


@dataclass(frozen=True)
class Report:
    """Stages in order; the first begins with the process."""

    stages: tuple[Stage, ...]
