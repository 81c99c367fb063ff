"""Tells whether eager's answers depend on random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_cpuaccel.builder.random_generators import Generators, lean, seeded
from pytest_cpuaccel.core.call import Answer
from pytest_cpuaccel.core.errors import CpuaccelError, EagerError
from pytest_cpuaccel.evaluation.extreme_draws import Drawing, Draws
from pytest_cpuaccel.measure.parity.agreement import ON_THE_SAME, self_agreement

TRIES = 8
"""Eager answers again from so many other seeds. If one draw in ten changes the answer, they miss it in 43 % of cases.
If one in two does, they miss it in 0.4 %."""

_ENDS = {0.0: "at their least", 1.0: "at their greatest"}

Run = Callable[[], Sequence[Answer]]


@dataclass(frozen=True)
class RandomnessCheck:
    """Answers to calls in a row, as ``run`` gives them from any state of the generators.

    ``answers`` are those from the state that :func:`seeded` begins with.
    """

    run: Run
    answers: Sequence[Answer]
    only: tuple[str, ...] = ()

    def unproven(self) -> tuple[str, ...]:
        """Return the generators that are drawn from, whose influence on the answer was neither found nor ruled out.

        torch's numbers are also put at either end of what they can be, and where no answer hangs on that, none is taken
        to hang on what lies between. numpy's and Python's are put there too, but what a call asks of them isn't known.

        Raises:
            EagerError: an answer in the outputs ``only`` (none: in any) is another one from other random numbers.
        """
        states = []
        for seed in range(1, TRIES + 1):
            with seeded(seed) as before:
                self._check(self.run(), ON_THE_SAME)
                states.append((before, Generators.now()))
        (_, one), (_, other) = states[:2]  # the same again where the model seeds them itself
        drawn = {name for before, after in states for name in after.unlike(before)} & set(one.unlike(other))
        return tuple(sorted(drawn - {"torch"} if self._is_none_at_the_ends() else drawn))

    def _is_none_at_the_ends(self) -> bool:
        """Whether all that torch drew was put at either end, to no effect."""
        try:
            kept = self._draws(1).seeded_as(self._draws(2))
            draws = [self._at(end, kept) for end in _ENDS]
            return all(item.were_moved for item in draws)
        except _HangingError:
            raise
        except CpuaccelError:  # the model can't run so
            return False

    def _draws(self, seed: int) -> Draws:
        drawing = Drawing()
        with seeded(seed), drawing:
            self.run()
        return drawing.draws

    def _at(self, end: float, kept: frozenset[int]) -> Draws:
        drawing = Drawing(end, kept)
        with seeded(), drawing:
            lean(end)
            answers = self.run()
        self._check(answers, f"between two runs on the same inputs, one with its random numbers {_ENDS[end]}")
        return drawing.draws

    def _check(self, answers: Sequence[Answer], between: str) -> None:
        for one, other in zip(self.answers, answers, strict=True):
            if disagreement := self_agreement(one, other, self.only):
                raise _HangingError(disagreement.replace(ON_THE_SAME, between))


class _HangingError(EagerError):
    """An answer hangs on a draw."""
