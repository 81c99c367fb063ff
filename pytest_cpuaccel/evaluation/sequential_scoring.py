"""Items are scored under the backend and under eager, until the last of them or until the verdict is certain."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from pytest_cpuaccel.builder.process_state import process_kept
from pytest_cpuaccel.core.budget import AccuracyBudget
from pytest_cpuaccel.core.measurement.accuracy import Flip, PairedScores
from pytest_cpuaccel.core.progress import say_nothing
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.scored_items import ScoredItems
from pytest_cpuaccel.evaluation.scores import Scores
from pytest_cpuaccel.evaluation.scoring import Scoring
from pytest_cpuaccel.evaluation.scoring_text import answer_text, plain_value
from pytest_cpuaccel.judge.accuracy import judge_accuracy
from pytest_cpuaccel.judge.looks import Look, looks
from pytest_cpuaccel.judge.promise import ALPHA
from pytest_cpuaccel.measure.accuracy import compare_scores
from pytest_cpuaccel.measure.flips import flips
from pytest_cpuaccel.measure.metric import RESAMPLES, Answered


@dataclass(frozen=True)
class Side:
    """``asked()`` is a context in which ``model`` may be called; ``name`` is what it runs under, for messages."""

    model: Any
    name: str
    asked: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


@dataclass
class SequentialScoring:
    """``sides`` are the backend's and eager's. ``budget`` is what the scores are to be judged by, if by anything.

    ``progress`` gets a line for each item or batch.
    """

    scoring: Scoring
    items: ScoredItems
    sides: tuple[Side, Side]
    budget: AccuracyBudget | None
    progress: Callable[[str], None] = say_nothing
    _places: list[int] = field(default_factory=list)
    _found: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))

    def run(self) -> Scores:
        """Return the scores.

        Raises:
            UsageError: the function returned something else than what is asked for.
        """
        if self.scoring.metric is not None:
            self._score(range(self.items.count))
            return self._by_metric()
        order = self.items.in_random_order() if self._may_stop else list(range(self.items.count))
        plan = looks(self.items.count, self.scoring.batch_size or 1) if self._may_stop else (Look(len(order), ALPHA),)
        has_looked, alpha = False, ALPHA
        for look in plan:
            self._score(order[len(self._places) : look.items])
            alpha = look.alpha if has_looked else ALPHA
            if look.items < self.items.count and self._paired.are_right_or_wrong:
                has_looked, alpha = True, look.alpha
                if self._is_decided(alpha):
                    break
        return replace(self._scores(), alpha=alpha if self.scoring.stop_early else None)

    def in_given_order(self) -> list[float]:
        """Return the backend's score of each item, NaN of those that were left out."""
        found = dict(zip(self._places, (score for score, _ in self._found[0]), strict=True))
        return [found.get(place, float("nan")) for place in range(self.items.count)]

    @property
    def _may_stop(self) -> bool:
        return self.scoring.stop_early and self.budget is not None and self.budget.of is None

    def _score(self, places: Sequence[int]) -> None:
        fetched = dict(zip(places, self.items.at(places), strict=True))
        for side, found in zip(self.sides, self._found, strict=True):
            with side.asked(), torch.no_grad():
                found += self._answers(side, fetched)
        self._places += places

    def _answers(self, side: Side, fetched: Mapping[int, Any]) -> Iterator[Any]:
        read = self.scoring.scored if self.scoring.metric is None else self.scoring.predicted
        under = f"under {side.name}"
        returned = self.scoring.returned(side.model, fetched, under)
        for done, (place, value) in enumerate(zip(fetched, returned, strict=True), len(self._places) + 1):
            yield read(value, place, under)
            self.progress(f"scored {done} of {self.items.count} items {under}")

    def _scores(self) -> Scores:
        paired, answers = self._paired, [[answer for _, answer in found] for found in self._found]
        flipped = flips(paired, self._places, *answers)
        return Scores(self.items.count, paired.actual, paired.expected, flipped)

    @property
    def _paired(self) -> PairedScores:
        return PairedScores(*(tuple(score for score, _ in found) for found in self._found))

    def _is_decided(self, alpha: float) -> bool:
        assert self.budget is not None
        paired = self._paired
        verdict = judge_accuracy(compare_scores(paired.actual, paired.expected), self.budget, "", alpha)
        return verdict.outcome is not Outcome.INCONCLUSIVE

    def _by_metric(self) -> Scores:
        metric = self.scoring.metric
        assert metric is not None
        actual, expected = (Answered(*zip(*found, strict=True)) for found in self._found)
        resamples = RESAMPLES if self.budget is not None and self.budget.of is None else 0
        with process_kept():
            measured = metric.measured(actual, expected, resamples, self.progress)
        flipped = _flips_of(actual, expected, self._places)
        return Scores(self.items.count, by_metric=replace(measured, flipped=flipped))


def _flips_of(actual: Answered, expected: Answered, places: Sequence[int]) -> tuple[Flip, ...]:
    """The items of which one prediction alone is the reference, where both are texts or numbers."""
    rights = [
        [_is_right(*pair) for pair in zip(one.predictions, one.references, strict=True)] for one in (actual, expected)
    ]
    told = [at for at, both in enumerate(zip(*rights, strict=True)) if None not in both and both[0] != both[1]]
    scores = PairedScores(*(tuple(float(bool(side[at])) for at in told) for side in rights))
    answers = [[answer_text(one.predictions[at]) for at in told] for one in (actual, expected)]
    return flips(scores, [places[at] for at in told], *answers)


def _is_right(prediction: Any, reference: Any) -> bool | None:
    found, wanted = plain_value(prediction), plain_value(reference)
    return None if found is None or wanted is None else found == wanted
