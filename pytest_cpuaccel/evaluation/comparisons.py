"""The comparisons of a test's calls, made when they are asked for."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_cpuaccel.builder.state.snapshot import untouched
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.pool import Pool
from pytest_cpuaccel.judge.parity.comparison import Comparison


@dataclass
class Comparisons:
    """``state`` names what the model keeps from call to call, once that was found; its calls are compared in order.

    ``is_stale`` tells whether the build in use turned out to be out of date. ``failing`` is the call that the latest
    FAIL is about; None where the latest verdict was none. ``in_order`` are the calls of a model that keeps state as
    they were compared, and one more.
    """

    evaluation: Evaluation
    budget: ParityBudget
    context: EvaluationContext
    state: tuple[str, ...] = ()
    is_stale: bool = False
    failing: Call | None = None
    in_order: tuple[Call, ...] = ()
    _sequence: dict[int, Comparison] = field(default_factory=dict)
    _ordered: bool | None = None
    _last: Call | None = None

    def __post_init__(self) -> None:
        own = weakref.proxy(self)  # a cycle would keep the calls, with all their outputs, until garbage is collected
        self._pool = Pool(self.evaluation.calls, lambda call, pooled: own._compared(call, pooled))

    @property
    def comparer(self) -> Comparer:
        """Return what compares a single call."""
        return Comparer(self.evaluation, self.budget, self.context)

    def of(self, calls: Sequence[Call]) -> list[Comparison]:
        """Return the comparisons of some of the calls.

        Raises:
            EagerError: the reference raises or disagrees with itself.
        """
        self._last = calls[-1]  # which a report shows where all pass
        return self._pool.comparisons(calls)

    def _compared(self, call: Call, pooled: Mapping[str, Share]) -> Comparison:
        if call.method == "generate":
            return self.comparer.compare_generated(call)
        if id(call) in self._sequence:
            return self._sequence[id(call)]
        references = self.comparer.references(call)
        if not references.state and not (references.touched and self._hangs_on_order()):
            return self.comparer.compare(call, references, pooled, in_full=call is self._last)
        self.state = references.state or references.touched
        self._sequence = self._compare_whole_sequence()
        return self._sequence[id(call)]

    def _compare_whole_sequence(self) -> dict[int, Comparison]:
        """The comparison of every forward call, and of one more, which shows what state the last one left."""
        comparer, calls = self.comparer, self.evaluation.forward_calls
        built = self.context.builder.built(self.evaluation.request(calls[-1]))
        with untouched(self.evaluation.model):
            calls.append(comparer.called(built, calls[-1]))
        self.in_order = tuple(calls)
        found: dict[int, Comparison] = {}
        for call, comparison in zip(calls, comparer.compare_in_sequence(calls, self.state), strict=True):
            known = found.get(id(call))
            if known is None or known.outcome is Outcome.PASS:
                found[id(call)] = comparison
        further, last = found.pop(id(calls[-1])), id(calls[-2])
        if further.outcome is not Outcome.PASS and found[last].outcome is Outcome.PASS:
            found[last] = replace(further, sentence=f"asked once more, {further.sentence}")
        return found

    def _hangs_on_order(self) -> bool:
        if self._ordered is None:
            calls = self.evaluation.forward_calls
            differ = len({id(call) for call in calls}) > 1
            start = self.evaluation.start
            self._ordered = differ and self.context.cache.hangs_on_order(self.evaluation.reference, calls, start)
        return self._ordered
