"""The comparer: holds what a model answered, or would, to what the reference returns in eager mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from pytest_cpuaccel.builder.eager import named_inputs, written_inputs
from pytest_cpuaccel.core.backend import BuiltModel
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.heard import Listener
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.measurement.parity import Share
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.context import EvaluationContext
from pytest_cpuaccel.evaluation.evaluation import Evaluation
from pytest_cpuaccel.evaluation.generation import NO_LOCK, LogitsTerms, compare_generated
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References


@dataclass(frozen=True)
class Comparer:
    """Compares calls of an evaluation, by the budget."""

    evaluation: Evaluation
    budget: ParityBudget
    context: EvaluationContext

    @property
    def held_to(self) -> ParityBudget:
        """Return the budget, which knows of a candidate."""
        return replace(self.budget, of_candidate=self.evaluation.is_of_candidate)

    def references(self, call: Call) -> References:
        """Return what eager gives for a forward call.

        Raises:
            EagerError: the reference raises or disagrees with itself.
        """
        evaluation = self.evaluation
        precision, only = evaluation.backend.precision, self.budget.only
        try:
            return self.context.cache.references(evaluation.reference, call, precision, only, evaluation.start)
        except EagerError as error:
            if not evaluation.is_of_candidate:
                raise
            raise EagerError(
                f"{error}; cpu_candidate took these inputs, and is judged by what eager_model says to them"
            ) from error

    def references_in_sequence(self, calls: Sequence[Call]) -> list[References]:
        """Return what eager gives for forward calls in a row, each from the state that the last one left.

        Raises:
            EagerError: the reference raises or disagrees with itself.
        """
        evaluation = self.evaluation
        precision, only = evaluation.backend.precision, self.budget.only
        return self.context.cache.sequence(evaluation.reference, calls, precision, only, evaluation.start)

    def compare(
        self, call: Call, references: References, pooled: Mapping[str, Share] | None = None, *, in_full: bool = True
    ) -> Comparison:
        """Compare a forward call; ``pooled`` and ``in_full`` as in :class:`Terms`."""
        evaluation, budget = self.evaluation, self.held_to
        actual, expected = with_what_was_written(call, references, evaluation.reference)
        terms = Terms(budget, evaluation.backend.precision, pooled or {}, in_full)
        return _unless_by_chance(compare(actual, expected, call.inputs, terms), references, evaluation.reference)

    def compare_generated(self, call: Call, *, by_build: bool = True) -> Comparison:
        """Compare a ``generate()`` call, by the logits of the build in use too unless another one answered it."""
        held = LogitsTerms(self.budget.logits_lock, self.context.tolerances.is_asked) if by_build else NO_LOCK
        return compare_generated(call, self.evaluation, self.context.builder, held, by_build=by_build)

    def compare_in_sequence(self, calls: Sequence[Call], state: tuple[str, ...]) -> Iterator[Comparison]:
        """Yield the comparison of each of forward calls in a row, from one to the next of which ``state`` is kept."""
        references = self.references_in_sequence(calls)
        first = Outcome.PASS
        for number, (call, reference) in enumerate(zip(calls, references, strict=True), start=1):
            found = self.compare(call, reference)
            first = found.outcome if number == 1 else first
            if found.outcome is Outcome.FAIL:
                kept = f"the model keeps state from call to call ({', '.join(state)})"
                lost = ", which is lost or wrong here" if first is Outcome.PASS else ""
                found = replace(found, sentence=f"{kept}{lost}: call {number}: {found.sentence}")
            yield found

    def called(self, built: BuiltModel, call: Call) -> Call:
        """Return the call as a build answers it."""
        listener = None if call.heard is None else Listener()
        told = {} if listener is None else {"streamer": listener}
        given = private_inputs(Inputs(call.inputs.args, {**call.inputs.kwargs, **told}))
        run = built.method(call.method)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            if call.rng_state is not None:
                torch.set_rng_state(call.rng_state)
            output = run(*given.args, **given.kwargs)
        written = written_inputs(self.evaluation.model, call.inputs, given)
        return replace(call, output=output, written=written, heard=None if listener is None else listener.heard)


def _unless_by_chance(found: Comparison, references: References, model: nn.Module) -> Comparison:
    """INCONCLUSIVE in the place of a FAIL that may be the doing of a random number."""
    if found.outcome is not Outcome.FAIL or not references.unproven:
        return found
    sentence = (
        f"{found.sentence}; but {type(model).__name__} draws random numbers ({' and '.join(references.unproven)}), and "
        "though eager's answer was the same for all that were tried, this one may hang on a rare one"
    )
    return replace(found, outcome=Outcome.INCONCLUSIVE, sentence=sentence)


def with_what_was_written(call: Call, references: References, model: nn.Module) -> tuple[Answer, References]:
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
