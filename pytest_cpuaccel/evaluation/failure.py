"""A failure: a result that fails, with the call that shows it and what judged it."""

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
    """``state`` names what the model keeps from call to call: ``call`` alone then does not repeat the failure."""

    result: Result
    call: Call
    comparer: Comparer
    state: tuple[str, ...] = ()

    def answers(self) -> tuple[Answer, References]:
        """Return the backend's answer, and eager's as :class:`Answer` values.

        Raises:
            EagerError: the reference raises or disagrees with itself.
        """
        call, model = self.call, self.comparer.evaluation.reference
        if call.method == "forward":
            references = self.comparer.references(call)
            actual, references = with_what_was_written(call, references, model)
            return actual, references
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(call.rng_state)
            return Answer(call.output), References(answer_of(model, "generate", repeatable(call.inputs)))
