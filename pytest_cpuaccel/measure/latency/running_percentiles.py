"""An observation: what blocks of calls have shown of one quantity and of the machine."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_cpuaccel.core.limit import Quantity
from pytest_cpuaccel.measure.latency.block import Block
from pytest_cpuaccel.measure.latency.probe import TOLERANCE
from pytest_cpuaccel.measure.latency.quantile import MEDIAN, quantile

WINDOW_CALLS = 31
WINDOWS = 20
LEAST_S = 1.0
"""The machine is looked at for at least this long, however slow the calls are."""


class RunningPercentiles:
    """Blocks, with what is best among them kept up to date so that each new block costs little.

    ``levels`` are the quantiles of interest besides the median, ``best_probe_ns`` the session's best so far.
    """

    def __init__(self, quantity: Quantity, levels: Sequence[float], best_probe_ns: float = math.inf) -> None:
        self.quantity: Quantity = quantity
        self.blocks: list[Block] = []
        self.windows = 0
        self.fastest_ns = math.inf
        self.best_probe_ns = best_probe_ns
        self._probes_ns: list[float] = []
        self._best_window_ns = dict.fromkeys([MEDIAN, *levels], math.inf)

    def add(self, block: Block) -> None:
        """Take in one more block; it ends a window as soon as the last blocks hold 31 calls together."""
        self.blocks.append(block)
        self._probes_ns.append(block.probe_ns)
        self.best_probe_ns = min(self.best_probe_ns, block.probe_ns)
        calls_ns = block.calls_ns[self.quantity]
        self.fastest_ns = min(self.fastest_ns, min(calls_ns))
        if len(self.blocks) < self._width:
            return
        self.windows += 1
        window = [ns for member in self.blocks[-self._width :] for ns in member.calls_ns[self.quantity]]
        for level, best_ns in self._best_window_ns.items():
            self._best_window_ns[level] = min(best_ns, quantile(window, level))

    @property
    def calls_ns(self) -> list[float]:
        """What every call took."""
        return [ns for block in self.blocks for ns in block.calls_ns[self.quantity]]

    @property
    def _width(self) -> int:
        """How many blocks make a window; all hold as many calls."""
        return math.ceil(WINDOW_CALLS / len(self.blocks[0].calls_ns[self.quantity]))

    def best_ns(self, level: float) -> float:
        """The quantile in the best window; in too short a run, the fastest call."""
        return self._best_window_ns[level] if self.windows else self.fastest_ns

    def probe_slowdown(self, level: float) -> float:
        """The probe's time at a quantile, over its best of the session."""
        return quantile(self._probes_ns, level) / self.best_probe_ns

    def machine_is_itself(self, level: float) -> bool:
        """Tell whether the probe ran as fast as it can, as often as the quantile asks."""
        return self.probe_slowdown(level) <= 1 + TOLERANCE

    def breaks(self, limit_ns: float, level: float) -> bool:
        """Tell whether even the best moments broke the limit while the machine was itself.

        It is enough that the fastest call did; or that in each of at least 20 windows the percentile did, or
        the median, which lies below every higher percentile and asks less of the machine.
        """
        if self.blocks[-1].elapsed_s < LEAST_S:
            return False
        if self.fastest_ns > limit_ns:
            return self.machine_is_itself(MEDIAN)
        return self.windows >= WINDOWS and any(
            self._best_window_ns[tried] > limit_ns and self.machine_is_itself(tried) for tried in (MEDIAN, level)
        )

    def blocks_to_blame(self, limit_ns: float) -> int:
        """Return how many more blocks must break the limit before the best moments of the run count as broken."""
        if self.fastest_ns > limit_ns:
            return 0
        return max(0, self._width + WINDOWS - 1 - len(self.blocks))
