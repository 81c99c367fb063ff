"""The comparisons of all calls of a test, for figures that only the whole test has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.comparison import Comparison

Compare = Callable[[Call, Mapping[str, Share]], Comparison]
"""Compares a call, given the top-1 answers of all calls by output; of this call alone where there are none."""


@dataclass
class Pool:
    """All calls of one test; each is compared once, when it is first asked for."""

    calls: Sequence[Call]
    compare: Compare
    _alone: dict[int, Comparison] = field(default_factory=dict)

    def comparisons(self, calls: Sequence[Call]) -> list[Comparison]:
        """Return the comparisons of some of the calls.

        Top-1 answers are counted over the whole test. A call whose answer is as empty as eager's is PASS where another
        call of the test compared something.
        """
        found = [self._of(call) for call in calls]
        if len(self.calls) > 1 and any(comparison.top1 for comparison in found):
            pooled = self._top1()
            found = [self.compare(call, pooled) for call in calls]
        if any(comparison.compared_nothing for comparison in found) and not self._is_empty():
            return [_empty(item) if item.compared_nothing else item for item in found]
        return found

    def _of(self, call: Call) -> Comparison:
        if id(call) not in self._alone:
            self._alone[id(call)] = self.compare(call, {})
        return self._alone[id(call)]

    def _top1(self) -> Mapping[str, Share]:
        pooled: dict[str, Share] = {}
        for comparison in map(self._of, self.calls):
            for name, share in comparison.top1.items():
                pooled[name] = pooled.get(name, Share(0, 0)) + share
        return pooled

    def _is_empty(self) -> bool:
        return all(self._of(call).compared_nothing for call in self.calls)


def _empty(comparison: Comparison) -> Comparison:
    summary = replace(comparison.summary, figure="empty")
    return replace(comparison, outcome=Outcome.PASS, sentence="no element to compare, as under eager", summary=summary)
