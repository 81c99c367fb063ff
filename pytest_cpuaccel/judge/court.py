"""What judging needs beside the trial: builds, references, and a clock that runs alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from pytest_cpuaccel.build.workshop import Workshop
from pytest_cpuaccel.judge.reference import ReferenceBook
from pytest_cpuaccel.measure.latency.config import RaceConfig


@dataclass(frozen=True)
class Court:
    """``alone()`` is a context in which no other test on the machine runs."""

    workshop: Workshop
    book: ReferenceBook
    alone: Callable[[], contextlib.AbstractContextManager[None]]
    race: RaceConfig
