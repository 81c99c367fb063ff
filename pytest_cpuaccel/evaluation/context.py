"""What judging needs beside the evaluation: builds, references, and a clock that runs alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.evaluation.baseline_settings import NO_LEDGER, BaselineSettings
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.self_check import Resolution


@dataclass(frozen=True)
class EvaluationContext:
    """``alone()`` is a context in which no other test on the machine runs; it raises BusyError where it can't be had.

    ``self_checks`` holds what the session's A/A check found, once there was need of it.
    """

    builder: Builder
    book: ReferenceCache
    alone: Callable[[], contextlib.AbstractContextManager[None]]
    race: RaceConfig
    baselines: BaselineSettings = NO_LEDGER
    self_checks: list[Resolution] = field(default_factory=list)
