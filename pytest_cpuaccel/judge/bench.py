"""A bench: where one test works with models, and what is left on it to be judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.build.recorder import Recorder, calls_of
from pytest_cpuaccel.build.workshop import Workshop
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.judge.trial import Budgets, Scores, Trial

ScoreItem = Callable[[Any, Any], float]


@dataclass(repr=False)
class Bench:
    """Hands out models under ``backend`` and keeps what the test did with each.

    ``resolve`` makes a model of what the user gives: a module, a folder or a hub id.
    """

    backend: Backend
    workshop: Workshop
    resolve: Callable[[object], nn.Module]
    _recorders: list[tuple[nn.Module, Recorder]] = field(default_factory=list)
    _scores: dict[int, Scores] = field(default_factory=dict)

    def accelerate(self, source: object) -> Recorder:
        """Return a model under the backend; the same stand-in for the same model.

        Raises:
            UsageError: ``source`` is no model and leads to none.
            EagerError: the model is unfit to be a reference.
        """
        model = self.resolve(source)
        for known, recorder in self._recorders:
            if known is model:
                return recorder
        recorder = Recorder(model, self.backend, self.workshop)
        self._recorders.append((model, recorder))
        return recorder

    def score(self, source: object, score_item: ScoreItem, items: Iterable[Any]) -> list[float]:
        """Return ``score_item(model, item)`` for every item under the backend, and keep eager's beside them.

        Raises:
            UsageError: there are no items.
        """
        model, listed = self.resolve(source), list(items)
        if not listed:
            raise UsageError("score_items: there are no items to score")
        actual = _scored(self.accelerate(model), score_item, listed)
        before = self._scores.get(id(model), Scores())
        expected = _scored(model, score_item, listed)
        self._scores[id(model)] = Scores(before.actual + actual, before.expected + expected)
        return list(actual)

    def trials(self, budgets: Budgets, versus: Backend) -> Iterator[Trial]:
        """Yield what is to be judged: a trial for each model; accuracy only where something was scored."""
        scored = bool(self._scores)
        for model, recorder in self._recorders:
            scores = self._scores.get(id(model), Scores())
            own = replace(budgets, accuracy=None) if scored and not scores.actual else budgets
            yield Trial(model, self.backend, versus, calls_of(recorder), scores, own)


def _scored(model: Any, score_item: ScoreItem, items: list[Any]) -> tuple[float, ...]:
    with torch.no_grad():
        return tuple(float(score_item(model, item)) for item in items)
