"""Whether a fresh export answers right where the one in use does not."""

from __future__ import annotations

from pytest_cpuaccel.builder.state.snapshot import in_state
from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.diagnose.faults import self_disagreement
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.judge.parity.comparison import Comparison

_REPLAYED = 32
"""Calls repeated on a fresh export before the one in question."""


def is_right_anew(call: Call, comparer: Comparer, state: tuple[str, ...]) -> bool:
    """Tell whether a fresh export, made as the one in use was, answers as eager does, and that one always as it did."""
    evaluation, builder = comparer.evaluation, comparer.context.builder
    try:
        anew = builder.exported_anew(evaluation.request(call))
        with in_state(evaluation.model, evaluation.start), anew as built:
            if state:
                made = evaluation.forward_calls
                calls = [comparer.called(built, item) for item in (*made, made[-1])]
                return all(map(_is_right, comparer.compare_in_sequence(calls, state)))
            for item in _calls_before(call, evaluation):  # what a build makes of a call may hang on those before
                comparer.called(built, item)
            again = comparer.called(built, call)
            others = _others_again(built, call, comparer)
        if call.method == "generate":
            return _is_right(comparer.compare_generated(again))
        if not all(_is_right(comparer.compare(item, comparer.references(of))) for of, item in ((call, again), *others)):
            return False
        return self_disagreement(call, evaluation.request(call), builder) is None
    except CpuaccelError:
        return False


def _is_right(comparison: Comparison) -> bool:
    return comparison.outcome is not Outcome.FAIL


def _others_again(built: BuiltModel, call: Call, comparer: Comparer) -> list[tuple[Call, Call]]:
    """Other forward calls of the test, each with what a fresh export answers."""
    return [
        (item, comparer.called(built, item))
        for item in others_like(call, comparer.evaluation)
        if call.method == "forward" and built.accepts(item.inputs)
    ]


def _calls_before(call: Call, evaluation: Evaluation) -> list[Call]:
    """The latest calls of the same method before a call, each once."""
    calls = _calls_like(call, evaluation)
    return calls[: [id(item) for item in calls].index(id(call))][-_REPLAYED:]


def others_like(call: Call, evaluation: Evaluation) -> list[Call]:
    """Other calls of the test, each once: a fresh export may be right for the one that it was made for alone."""
    return [item for item in _calls_like(call, evaluation) if item is not call][-_REPLAYED:]


def _calls_like(call: Call, evaluation: Evaluation) -> list[Call]:
    """The test's calls of the same method, each once."""
    return list({id(item): item for item in evaluation.calls if item.method == call.method}.values())
