"""The services of an evaluation: builds, references, and the lock for timings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_cpuaccel.baselines.settings import NO_BASELINES, BaselineSettings
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core.measurement.latency import SelfCheck
from pytest_cpuaccel.evaluation.localizing import Localizing
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.evaluation.tolerance_book import ToleranceBook
from pytest_cpuaccel.measure.latency.config import RaceConfig

if TYPE_CHECKING:
    from pytest_cpuaccel.evaluation.against import Against
    from pytest_cpuaccel.evaluation.failure import Failure


def keep_nothing(failure: Failure) -> tuple[str, ...]:  # noqa: ARG001
    """Keep nothing of a failure, and say nothing of it."""
    return ()


@dataclass(frozen=True)
class EvaluationContext:
    """``alone()`` is a context in which no other test on the machine runs; it raises BusyError where it can't be had.

    ``self_checks`` holds what the session's A/A check found, once there was need of it.
    ``localizing`` tells which wrong answers are followed to the module in which they begin.
    ``keep`` is told of every result that fails and returns notes for its verdict. ``tolerances`` are those of a
    tolerance lock. ``against`` is the other environment that each workload is held to, if there is one.
    """

    builder: Builder
    cache: ReferenceCache
    alone: Callable[[], contextlib.AbstractContextManager[None]]
    race: RaceConfig
    baselines: BaselineSettings = NO_BASELINES
    self_checks: list[SelfCheck] = field(default_factory=list)
    localizing: Localizing = field(default_factory=Localizing)
    keep: Callable[[Failure], tuple[str, ...]] = keep_nothing
    tolerances: ToleranceBook = field(default_factory=ToleranceBook)
    against: Against | None = None
