"""A failure: a result that fails, with the calls that show it and what judged them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_cpuaccel.builder.eager import answer_of
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.result import Result
from pytest_cpuaccel.evaluation.comparer import Comparer, with_what_was_written
from pytest_cpuaccel.evaluation.generation import repeatable
from pytest_cpuaccel.measure.parity.references import References


@dataclass(frozen=True)
class Failure:
    """``calls`` is the call that fails. Scores have none.

    ``state`` names what the model keeps from call to call. ``calls`` are then all of them in order, and one that was
    made after those of the test.
    """

    result: Result
    comparer: Comparer
    calls: tuple[Call, ...] = ()
    state: tuple[str, ...] = ()

    def answers(self) -> list[tuple[Answer, References]]:
        """Return for each call the backend's answer, and eager's as :class:`Answer` values.

        Raises:
            EagerError: the reference raises or disagrees with itself.
        """
        model = self.comparer.evaluation.reference
        if self.state:
            references = self.comparer.references_in_sequence(self.calls)
            return [with_what_was_written(*pair, model) for pair in zip(self.calls, references, strict=True)]
        return [self._answers_to(call) for call in self.calls]

    def _answers_to(self, call: Call) -> tuple[Answer, References]:
        model = self.comparer.evaluation.reference
        if call.method == "forward":
            return with_what_was_written(call, self.comparer.references(call), model)
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(call.rng_state)
            return Answer(call.output), References(answer_of(model, "generate", repeatable(call.inputs)))
