"""The reach of a measurement: which verdicts fit into the time it may take, known once a call was timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cpuaccel.core.units import format_duration
from pytest_cpuaccel.measure.latency.block import BLOCK_NS
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.limit import Limit
from pytest_cpuaccel.measure.latency.percentile import blocks_to_fail, blocks_to_pass
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

    def why_no_race(self, versus: str) -> str | None:
        """Return why no race can be decided; None where one may be."""
        pairs = rules_for(self.call_ns, self.config).min_pairs
        least_ns = pairs * (self.call_ns + self.reference_ns)
        against = f", one of {versus} {format_duration(self.reference_ns)}" if self.reference_ns else ""
        return self._refusal(against, f"{pairs} pairs of calls", "a ratio", least_ns)

    def why_no_hold(self, limits: Mapping[str, Limit]) -> str | None:
        """Return why no limit can be decided, in either way; None where one may be."""
        blocks = {name: self._fewest_blocks(limit.level) for name, limit in limits.items()}
        name = min(blocks, key=lambda name: blocks[name])
        least_ns = blocks[name] * max(self.call_ns, BLOCK_NS)
        return self._refusal("", f"{blocks[name]} calls", name, least_ns)

    @property
    def _cap_ns(self) -> float:
        return self.config.long_cap_s * 1e9

    def _fewest_blocks(self, level: float) -> int:
        to_pass = blocks_to_pass(0, 0, level, self.config.alpha_pass)
        return min(to_pass, blocks_to_fail(0, 0, level, self.config.alpha_fail))

    def _refusal(self, against: str, count: str, of: str, least_ns: float) -> str | None:
        if least_ns <= self._cap_ns:
            return None
        return (
            f"one call took {format_duration(self.call_ns)}{against}; the {count} that a verdict on {of} needs "
            f"take {format_duration(least_ns)}, and {format_duration(self._cap_ns)} are allowed"
        )
