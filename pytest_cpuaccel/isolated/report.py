"""The report of a fresh process: the time of each stage, and the memory held after it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cpuaccel.machine.memory import Memory

IMPORTS, EXPORT, LOAD, FIRST_CALL = "imports", "export", "load", "first call"
"""The names of stages."""

REPORT = "report.pickle"
"""The report's file."""


@dataclass(frozen=True)
class Stage:
    """``queued_ns`` of ``ns`` were spent waiting for a processor; ``memory`` is that at the end, None if unknown."""

    name: str
    ns: int
    queued_ns: int
    memory: Memory | None


@dataclass(frozen=True)
class Report:
    """Stages in order; the first begins with the start of the process."""

    stages: tuple[Stage, ...]
