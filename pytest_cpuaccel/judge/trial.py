"""A trial: what one test did with one model under one backend, and what its marks allow."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.budget import AccuracyBudget, LatencyBudget, ParityBudget
from pytest_cpuaccel.core.call import Call


@dataclass(frozen=True)
class Scores:
    """What ``score_items`` found for the same items, in order, under the backend and under eager."""

    actual: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()


@dataclass(frozen=True)
class Budgets:
    """The marks of a test, as they stand for its backend; None where a mark is absent."""

    parity: ParityBudget | None = None
    accuracy: AccuracyBudget | None = None
    latency: LatencyBudget | None = None


@dataclass(frozen=True)
class Trial:
    """``versus`` is the backend that the latency budget compares with."""

    model: nn.Module
    backend: Backend
    versus: Backend
    calls: tuple[Call, ...]
    scores: Scores
    budgets: Budgets
