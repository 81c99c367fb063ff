"""Budgets of marks: tolerances for parity, limits for latency, start-up, memory, accuracy and kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from pytest_cpuaccel.core.tolerance_lock import Lock

NO_LIMIT = inf
"""For a figure of a fresh process that is measured and shown, and held to nothing."""


@dataclass(frozen=True)
class Tolerance:
    """How far one output may lie from eager's. All unset: the defaults for the backend's precision.

    ``rtol`` and ``atol`` as in ``torch.testing.assert_close``: ``|actual - expected| <= atol + rtol * |expected|``.
    ``cosine`` is the least cosine similarity, ``sqnr_db`` the least signal-to-quantisation-noise ratio in dB,
    ``top1`` the least share of positions whose argmax over the last dimension agrees, ``neighbours`` the least share of
    nearest neighbours that are kept among the rows of a matrix.
    """

    rtol: float | None = None
    atol: float | None = None
    cosine: float | None = None
    sqnr_db: float | None = None
    top1: float | None = None
    neighbours: float | None = None


@dataclass(frozen=True)
class ParityBudget:
    """The ``parity`` mark.

    ``outputs`` maps output names (globs allowed) to tolerances of their own; with ``only`` set, other outputs are not
    compared. ``mask`` names the input that marks valid positions (1) and padding (0). With ``None`` the input is found
    by its name; with ``""`` padding is compared too. ``locks`` are those of a tolerance lock, by output, and
    hold where the mark sets no tolerance; ``logits_lock`` is that of the logits behind ``generate()``. ``of_candidate``
    tells that the answers are those of another checkpoint, which differs by more than rounding.
    """

    tolerance: Tolerance = Tolerance()
    outputs: Mapping[str, Tolerance] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    mask: str | None = None
    locks: Mapping[str, Lock] = field(default_factory=dict)
    logits_lock: Lock | None = None
    of_candidate: bool = False


@dataclass(frozen=True)
class LatencyBudget:
    """The ``latency_budget`` mark: percentiles of one call in ns, and ratios against ``vs``.

    ``min_throughput`` is the least number of items per second: the batch of a call over its p50. ``ttft_ns`` and
    ``tpot_ns`` are for ``generate()``: the p50 of the time to its first token, and of the mean time per token after.
    ``speedup`` is the least allowed ``latency(vs) / latency(backend)``; ``max_slowdown`` the greatest allowed
    ``latency(backend) / latency(vs) - 1``, a fraction. Without any limit the ratio and the median are measured only.
    """

    p50_ns: int | None = None
    p90_ns: int | None = None
    p99_ns: int | None = None
    min_throughput: float | None = None
    ttft_ns: int | None = None
    tpot_ns: int | None = None
    speedup: float | None = None
    max_slowdown: float | None = None
    vs: str = "eager"

    @property
    def promises(self) -> int:
        """Return the number of limits that it sets."""
        limits = self.p50_ns, self.p90_ns, self.p99_ns, self.min_throughput, self.ttft_ns, self.tpot_ns
        return sum(value is not None for value in (*limits, self.speedup, self.max_slowdown))


@dataclass(frozen=True)
class StartupBudget:
    """The part of ``latency_budget`` for fresh processes, in ns: from the start to a first answer, and to build.

    What is None is not measured; what is ``NO_LIMIT`` is measured only.
    """

    cold_start_ns: float | None = None
    build_ns: float | None = None


@dataclass(frozen=True)
class MemoryBudget:
    """The ``memory_budget`` mark, in bytes: the peak of a fresh process, and the artifact on disk.

    What is None is not measured; what is ``NO_LIMIT`` is measured only.
    """

    peak_bytes: float | None = None
    artifact_bytes: float | None = None


@dataclass(frozen=True)
class AccuracyBudget:
    """The ``accuracy_budget`` mark: greatest allowed drop of the mean score below eager's, and least mean score.

    Both are in the units of the scores themselves; for right/wrong scores that is a fraction of the items. ``of`` says
    which items the claim is about. ``None``: all items that the given ones are a sample of. ``"these"``: the given
    items alone.
    """

    max_drop: float | None = None
    min_score: float | None = None
    of: str | None = None


@dataclass(frozen=True)
class KernelsBudget:
    """The ``kernels`` mark: what is asked of the kernels that ran for a call.

    ``int8_share`` and ``bf16_share`` are the least share, in [0, 1], of the time of matrix kernels that computed in
    int8 and in bf16. ``no_fallback`` allows no operation to have run elsewhere than where the backend promises.
    ``contains`` and ``absent`` are globs, for an operation, a kernel's implementation, or ``operation:precision``.
    """

    int8_share: float | None = None
    bf16_share: float | None = None
    no_fallback: bool = False
    max_graph_breaks: int | None = None
    contains: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budgets:
    """The marks of a test, as they stand for its backend; None where a mark is absent."""

    parity: ParityBudget | None = None
    accuracy: AccuracyBudget | None = None
    latency: LatencyBudget | None = None
    startup: StartupBudget | None = None
    memory: MemoryBudget | None = None
    kernels: KernelsBudget | None = None

    @property
    def of_performance(self) -> list[str]:
        """Return the names of the budgets that are not judged if the answer is wrong."""
        return [name for name in ("latency", "startup", "memory") if getattr(self, name) is not None]
