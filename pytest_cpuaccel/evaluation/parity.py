"""The parity verdict on a workload: every call held to what the reference returns for it in eager mode."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from pytest_cpuaccel.builder.eager import named_inputs, written_inputs
from pytest_cpuaccel.builder.state.snapshot import in_state, untouched
from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import CpuaccelError, EagerError
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.core.verdict import Outcome, Verdict
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.diagnosis import accusation, self_disagreement
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.generation import compare_generated
from pytest_cpuaccel.evaluation.pool import Pool
from pytest_cpuaccel.measure.parity.comparison import Comparison, References, compare
from pytest_cpuaccel.measure.parity.defaults import COMPRESSED
from pytest_cpuaccel.measure.parity.hints import HINT
from pytest_cpuaccel.measure.parity.top1 import Share
from pytest_cpuaccel.recording.workload import Workload


@dataclass
class Comparisons:
    """The comparisons of a evaluation's calls, made when they are asked for.

    ``state`` names what the model keeps from call to call, once that was found; its calls are compared in their order.
    ``is_stale`` tells whether the build in use turned out to be out of date.
    """

    evaluation: Evaluation
    budget: ParityBudget
    context: EvaluationContext
    state: tuple[str, ...] = ()
    is_stale: bool = False
    _sequence: dict[int, Comparison] = field(default_factory=dict)
    _ordered: bool | None = None
    _last: Call | None = None

    def __post_init__(self) -> None:
        own = weakref.proxy(self)  # a cycle would keep the calls, with all their outputs, until garbage is collected
        self._pool = Pool(self.evaluation.calls, lambda call, pooled: own._compared(call, pooled))

    def of(self, calls: Sequence[Call]) -> list[Comparison]:
        """Return the comparisons of some of the calls.

        Raises:
            EagerError: the reference raises or disagrees with itself.
        """
        self._last = calls[-1]  # which a report shows where all pass
        return self._pool.comparisons(calls)

    def _compared(self, call: Call, pooled: Mapping[str, Share]) -> Comparison:
        if call.method == "generate":
            return compare_generated(call, self.evaluation, self.context.builder)
        if id(call) in self._sequence:
            return self._sequence[id(call)]
        references = _references(call, self.evaluation, self.budget, self.context)
        if not references.state and not (references.touched and self._hangs_on_order()):
            return _compare(call, references, self.evaluation, self.budget, pooled, in_full=call is self._last)
        self.state = references.state or references.touched
        self._sequence = _compare_whole_sequence(self.evaluation, self.state, self.budget, self.context)
        return self._sequence[id(call)]

    def _hangs_on_order(self) -> bool:
        if self._ordered is None:
            calls = _forward_calls(self.evaluation)
            differ = len({id(call) for call in calls}) > 1
            start = self.evaluation.start
            self._ordered = differ and self.context.book.hangs_on_order(self.evaluation.reference, calls, start)
        return self._ordered


def judge_parity(workload: Workload, comparisons_of: Comparisons) -> Verdict:
    """Return the verdict on the worst call of a workload.

    A FAIL is said only where a fresh export answers wrong too; else it is INCONCLUSIVE, and what was built and exported
    is thrown away.

    Raises:
        EagerError: the reference raises or disagrees with itself.
    """
    evaluation, budget, context = comparisons_of.evaluation, comparisons_of.budget, comparisons_of.context
    comparisons = comparisons_of.of(workload.calls)
    worst = Outcome.worst(comparison.outcome for comparison in comparisons)
    alike = [comparison for comparison in comparisons if comparison.outcome is worst]
    shown = alike[-1] if worst is Outcome.PASS else alike[0]
    call = workload.calls[comparisons.index(shown)]
    about, facts = f"{evaluation.backend.name}: {workload.label}", {**shown.facts, "figure": shown.figure}
    if worst is Outcome.FAIL and _is_right_anew(call, evaluation, budget, context, comparisons_of.state):
        comparisons_of.is_stale = True
        doubt = _STALE if evaluation.backend.exporters else _CHANGED
        return Verdict("parity", Outcome.INCONCLUSIVE, f"{about}: {shown.sentence}; {doubt}", facts, shown.evidence)
    of_several = worst is not Outcome.PASS and len(comparisons) > 1
    of_calls = f" ({len(alike)} of {len(comparisons)} calls)" if of_several else ""
    return Verdict(
        "parity",
        shown.outcome,
        f"{about}: {shown.sentence}{of_calls}",
        {**facts, "calls": len(comparisons)},
        shown.evidence if comparisons_of.state else _evidence(shown, call, evaluation, budget, context),
    )


_REPLAYED = 32
"""Calls repeated on a fresh export before the one in question."""

_STALE = "but a fresh export answers right: the one in use was out of date and was thrown away; run the test again"
_CHANGED = "but a build made anew answers right: something that the model's answers hang on was changed meanwhile"


def _evidence(
    found: Comparison, call: Call, evaluation: Evaluation, budget: ParityBudget, context: EvaluationContext
) -> tuple[str, ...]:
    """The evidence; a proved mistake stands in the place of what the numbers hint at."""
    if found.outcome is not Outcome.FAIL or call.method == "generate" or evaluation.is_of_candidate:
        return found.evidence
    mistake = accusation(call, evaluation.model, evaluation.backend, budget, context)
    if mistake is None:
        return found.evidence
    return (*(line for line in found.evidence if not line.startswith(HINT)), f"{HINT}{mistake}")


def _is_right_anew(
    call: Call, evaluation: Evaluation, budget: ParityBudget, context: EvaluationContext, state: tuple[str, ...]
) -> bool:
    """Whether a fresh export, made as the one in use was, answers as eager does, and that one always as it did."""
    try:
        anew = context.builder.exported_anew(evaluation.request(call))
        with in_state(evaluation.model, evaluation.start), anew as built:
            if state:
                made = _forward_calls(evaluation)
                calls = [_called(built, item, evaluation) for item in (*made, made[-1])]
                compared = _compare_in_sequence(calls, evaluation, state, budget, context)
                return all(comparison.outcome is not Outcome.FAIL for comparison in compared)
            for item in _calls_before(call, evaluation):  # what a build makes of a call may hang on those before
                _called(built, item, evaluation)
            again = _called(built, call, evaluation)
            others = [
                _called(built, item, evaluation)
                for item in _others_like(call, evaluation)
                if call.method == "forward" and built.accepts(item.inputs)
            ]
        if call.method == "generate":
            return compare_generated(again, evaluation, context.builder).outcome is not Outcome.FAIL
        compared_again = _compare(again, _references(call, evaluation, budget, context), evaluation, budget, {})
        is_right = compared_again.outcome is not Outcome.FAIL and all(
            _compare(item, _references(item, evaluation, budget, context), evaluation, budget, {}).outcome
            is not Outcome.FAIL
            for item in others
        )
        return is_right and self_disagreement(call, evaluation.model, evaluation.backend, context) is None
    except CpuaccelError:
        return False


def _calls_before(call: Call, evaluation: Evaluation) -> list[Call]:
    """The latest calls of the same method before a call, each once."""
    calls = _calls_like(call, evaluation)
    return calls[: [id(item) for item in calls].index(id(call))][-_REPLAYED:]


def _others_like(call: Call, evaluation: Evaluation) -> list[Call]:
    """Other calls of the test, each once: a fresh export may be right for the one that it was made for alone."""
    return [item for item in _calls_like(call, evaluation) if item is not call][-_REPLAYED:]


def _calls_like(call: Call, evaluation: Evaluation) -> list[Call]:
    """The test's calls of the same method, each once."""
    return list({id(item): item for item in evaluation.calls if item.method == call.method}.values())


def _called(built: BuiltModel, call: Call, evaluation: Evaluation) -> Call:
    """The call as a build answers it."""
    given = private_inputs(call.inputs)
    run = built.forward if call.method == "forward" else built.generate
    assert run is not None
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        if call.rng_state is not None:
            torch.set_rng_state(call.rng_state)
        output = run(*given.args, **given.kwargs)
    return replace(call, output=output, written=written_inputs(evaluation.model, call.inputs, given))


def _compare_whole_sequence(
    evaluation: Evaluation, state: tuple[str, ...], budget: ParityBudget, context: EvaluationContext
) -> dict[int, Comparison]:
    """The comparison of every forward call, and of one more, which shows what state the last one left."""
    calls = _forward_calls(evaluation)
    built = context.builder.built(evaluation.request(calls[-1]))
    with untouched(evaluation.model):
        calls.append(_called(built, calls[-1], evaluation))
    found: dict[int, Comparison] = {}
    for call, comparison in zip(calls, _compare_in_sequence(calls, evaluation, state, budget, context), strict=True):
        known = found.get(id(call))
        if known is None or known.outcome is Outcome.PASS:
            found[id(call)] = comparison
    further, last = found.pop(id(calls[-1])), id(calls[-2])
    if further.outcome is not Outcome.PASS and found[last].outcome is Outcome.PASS:
        found[last] = replace(further, sentence=f"asked once more, {further.sentence}")
    return found


def _compare_in_sequence(
    calls: Sequence[Call],
    evaluation: Evaluation,
    state: tuple[str, ...],
    budget: ParityBudget,
    context: EvaluationContext,
) -> Iterator[Comparison]:
    references = context.book.sequence(
        evaluation.reference, calls, evaluation.backend.precision, budget.only, evaluation.start
    )
    first = Outcome.PASS
    for number, (call, reference) in enumerate(zip(calls, references, strict=True), start=1):
        found = _compare(call, reference, evaluation, budget, {})
        first = found.outcome if number == 1 else first
        if found.outcome is Outcome.FAIL:
            kept = f"the model keeps state from call to call ({', '.join(state)})"
            lost = ", which is lost or wrong here" if first is Outcome.PASS else ""
            found = replace(found, sentence=f"{kept}{lost}: call {number}: {found.sentence}")
        yield found


def _forward_calls(evaluation: Evaluation) -> list[Call]:
    return [call for call in evaluation.calls if call.method == "forward"]


def _compare(
    call: Call,
    references: References,
    evaluation: Evaluation,
    budget: ParityBudget,
    pooled: Mapping[str, Share],
    *,
    in_full: bool = True,
) -> Comparison:
    if evaluation.is_of_candidate and budget.tolerance == Tolerance():
        budget = replace(budget, tolerance=COMPRESSED)
    actual, expected = _with_what_was_written(call, references, evaluation.reference)
    precision = evaluation.backend.precision
    inputs = call.inputs
    found = compare(actual, expected, inputs=inputs, precision=precision, budget=budget, pooled=pooled, in_full=in_full)
    return _unless_by_chance(found, references, evaluation.reference)


def _unless_by_chance(found: Comparison, references: References, model: nn.Module) -> Comparison:
    """INCONCLUSIVE in the place of a FAIL that may be the doing of a random number."""
    if found.outcome is not Outcome.FAIL or not references.unproven:
        return found
    sentence = (
        f"{found.sentence}; but {type(model).__name__} draws random numbers ({' and '.join(references.unproven)}), and "
        "though eager's answer was the same for all that were tried, this one may hang on a rare one"
    )
    return replace(found, outcome=Outcome.INCONCLUSIVE, sentence=sentence)


def _with_what_was_written(call: Call, references: References, model: nn.Module) -> tuple[Answer, References]:
    """Both sides with the inputs that either wrote to, as each left them."""
    names = dict.fromkeys((*references.expected.written, *call.written))
    if not names:
        return Answer(call.output), references
    given = {name: leaf for name, leaf in named_inputs(model, call.inputs).items() if name in names}

    def wider(answer: Answer | None) -> Answer | None:
        return None if answer is None else Answer(answer.output, given | dict(answer.written))

    in_loops = references.reordered
    expected = replace(
        references,
        expected=wider(references.expected),
        expected64=wider(references.expected64),
        rounding=wider(references.rounding),
        reordered=in_loops and replace(in_loops, answer=wider(in_loops.answer)),
    )
    return Answer(call.output, given | dict(call.written)), expected


def _references(call: Call, evaluation: Evaluation, budget: ParityBudget, context: EvaluationContext) -> References:
    try:
        return context.book.references(
            evaluation.reference, call, evaluation.backend.precision, budget.only, evaluation.start
        )
    except EagerError as error:
        if not evaluation.is_of_candidate:
            raise
        raise EagerError(
            f"{error}; cpu_candidate took these inputs, and is judged by what eager_model says to them"
        ) from error
