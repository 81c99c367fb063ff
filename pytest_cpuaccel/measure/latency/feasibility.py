"""The reach of a measurement: what can be shown in the time it may take, known once a call was timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cpuaccel.core.limit import Limit
from pytest_cpuaccel.core.measurement.latency import TooSlow
from pytest_cpuaccel.measure.latency.block import BLOCK_NS
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.percentile import blocks_to_break, blocks_to_keep
from pytest_cpuaccel.measure.latency.sequential_test import rules_for


@dataclass(frozen=True)
class Reach:
    """``call_ns`` is what one call took, ``reference_ns`` one of the other side; 0 where that was not even called."""

    call_ns: float
    reference_ns: float
    config: RaceConfig

    @property
    def holds_a_pair(self) -> bool:
        """Tell whether a call of each side fits."""
        return self.call_ns + self.reference_ns <= self._cap_ns

    @property
    def no_race(self) -> TooSlow | None:
        """Return why no race can be decided; None where one may be."""
        pairs = rules_for(self.call_ns, self.config).min_pairs
        least_ns = pairs * (self.call_ns + self.reference_ns)
        return self._too_slow("a ratio", f"{pairs} pairs of calls", least_ns, self.reference_ns)

    def no_percentiles(self, limits: Mapping[str, Limit]) -> TooSlow | None:
        """Return why no limit can be decided, in either way; None where one may be."""
        blocks = {name: self._fewest_blocks(limit.level) for name, limit in limits.items()}
        name = min(blocks, key=lambda name: blocks[name])
        return self._too_slow(name, f"{blocks[name]} calls", blocks[name] * max(self.call_ns, BLOCK_NS))

    @property
    def _cap_ns(self) -> float:
        return self.config.long_cap_s * 1e9

    def _fewest_blocks(self, level: float) -> int:
        to_pass = blocks_to_keep(0, 0, level, self.config.alpha_below)
        return min(to_pass, blocks_to_break(0, 0, level, self.config.alpha_above))

    def _too_slow(self, what: str, count: str, least_ns: float, reference_ns: float = 0.0) -> TooSlow | None:
        if least_ns <= self._cap_ns:
            return None
        return TooSlow(what, self.call_ns, reference_ns, count, least_ns, self._cap_ns)
