"""The budgets of a test under a backend: parsed from its marks once, and kept in its stash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.budget import (
    AccuracyBudget,
    Budgets,
    KernelsBudget,
    LatencyBudget,
    MemoryBudget,
    ParityBudget,
    StartupBudget,
)
from pytest_cpuaccel.core.budget_arguments import (
    ACCURACY,
    KERNELS,
    LATENCY,
    MEMORY,
    PARITY,
    kernels_budget,
    latency_and_startup,
    memory_budget,
    parity_budget,
)
from pytest_cpuaccel.plugin.marks.arguments import arguments, check_backends, compulsory_arguments
from pytest_cpuaccel.plugin.marks.names import JUDGED, judged

if TYPE_CHECKING:
    from pytest_cpuaccel.core.backend import Backend


@dataclass(frozen=True)
class _Parsed:
    """The ``budgets`` that ``marks`` set for ``backend``."""

    backend: str
    marks: tuple[pytest.Mark, ...]
    budgets: Budgets

    def holds(self, backend: str, marks: tuple[pytest.Mark, ...]) -> bool:
        """Tell whether these are the same mark objects; their arguments may not be comparable."""
        return self.backend == backend and [*map(id, self.marks)] == [*map(id, marks)]


_PARSED = pytest.StashKey[_Parsed]()


def budgets_of(item: pytest.Item, backend: str, known: Mapping[str, Backend]) -> Budgets:
    """Return the budgets of a test under a backend; ``known`` are all backends by name.

    Marks are parsed again only if a fixture, or the test itself, has added one since.

    Raises:
        UsageError: an argument or value that has no meaning, budgets that contradict each other, or none at all.
    """
    marks = tuple(mark for name in JUDGED for mark in item.iter_markers(name))
    parsed = item.stash.get(_PARSED, None)
    if parsed is None or not parsed.holds(backend, marks):
        for name in judged(item):
            check_backends(item, name, known)
        parsed = item.stash[_PARSED] = _Parsed(backend, marks, _parse(item, backend))
    return parsed.budgets


def _parse(item: pytest.Item, backend: str) -> Budgets:
    parity, accuracy = _parity(item, backend), _accuracy(item, backend)
    latency, startup = _latency_and_startup(item, backend)
    return Budgets(parity, accuracy, latency, startup, _memory(item, backend), _kernels(item, backend))


def _parity(item: pytest.Item, backend: str) -> ParityBudget | None:
    given = arguments(item, "parity", backend, PARITY)
    return None if given is None else parity_budget(given)


def _accuracy(item: pytest.Item, backend: str) -> AccuracyBudget | None:
    given = compulsory_arguments(item, "accuracy_budget", backend, ACCURACY, 'max_drop="1%" or min_score=0.9')
    return None if given is None else AccuracyBudget(**given)


def _latency_and_startup(item: pytest.Item, backend: str) -> tuple[LatencyBudget | None, StartupBudget | None]:
    """Return the budgets of ``latency_budget`` for calls and for fresh processes."""
    given = compulsory_arguments(item, "latency_budget", backend, LATENCY, 'p50="30 ms" or speedup=1.2') or {}
    return latency_and_startup(given, f"{item.nodeid}: @latency_budget")


def _memory(item: pytest.Item, backend: str) -> MemoryBudget | None:
    given = compulsory_arguments(item, "memory_budget", backend, MEMORY, 'peak="800 MB" or artifact="100 MB"')
    return None if given is None else memory_budget(given)


def _kernels(item: pytest.Item, backend: str) -> KernelsBudget | None:
    given = compulsory_arguments(item, "kernels", backend, KERNELS, "int8_share=0.9 or no_fallback=True")
    return None if given is None else kernels_budget(given, f"{item.nodeid}: @kernels")
