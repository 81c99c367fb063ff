"""A metric over all items at once, such as F1 or BLEU: its value, and its values over resampled items."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import number_of, shown
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, PairedScores
from pytest_cpuaccel.core.one_line import one_line, printable
from pytest_cpuaccel.core.progress import say_nothing

RESAMPLES = 399
"""Times that items are drawn anew: with so many, 2.5 % of them is a whole number of values (10 of 400)."""

_SEED = 0
_WANTED = (
    "give an object with update(), compute() and reset(), as in torchmetrics, or with add_batch() and compute(), as in "
    "evaluate, or a function of (predictions, references)"
)
_REFERENCES_FIRST = ("y_true", "reference", "references", "target", "targets", "labels")
_OF_TENSORS = "preds"
"""The first argument of the functions of torchmetrics."""


@dataclass(frozen=True, eq=False)
class Answered:
    """The predictions for items and what they are held to, in the same order: sequences, or tensors of all items."""

    predictions: Any
    references: Any

    def at(self, places: Sequence[int]) -> Answered:
        """Return those of these places."""
        return Answered(_taken(self.predictions, places), _taken(self.references, places))


@dataclass(frozen=True)
class MetricOverItems:
    """``compute(predictions, references)`` is what the user's metric returns for them, once they are ``prepared``."""

    name: str
    compute: Callable[[Any, Any], Any]
    prepared: Callable[[Sequence[Any]], Any]

    def value(self, answered: Answered) -> float:
        """Return the metric's value; NaN where it is undefined.

        Raises:
            UsageError: it returned no number, or several.
        """
        found = self.compute(answered.predictions, answered.references)
        if isinstance(found, Mapping):
            if len(found) != 1:
                raise UsageError(
                    f"score_items(metric=): {self.name} returned {len(found)} values ({', '.join(map(str, found))}); "
                    f"say which one counts: metric=lambda predictions, references: ...[{next(iter(found), '')!r}]"
                )
            found = next(iter(found.values()))
        number = number_of(found)
        if number is None:
            raise UsageError(
                f"score_items(metric=): {self.name} returned {printable(shown(found))}; "
                "return one number, higher is better"
            )
        return number

    def measured(
        self, actual: Answered, expected: Answered, resamples: int, progress: Callable[[str], None] = say_nothing
    ) -> AccuracyMeasurement:
        """Return its values for a backend's answers and eager's, also over so many resamples of the items.

        ``progress`` gets a line now and then.

        Raises:
            UsageError: the value is no finite number.
        """
        items = len(actual.predictions)
        ours, theirs = (
            Answered(self.prepared(one.predictions), self.prepared(one.references)) for one in (actual, expected)
        )
        theirs = ours if _are_equal(ours, theirs) else theirs
        score, eager_score = self._values(self.value, ours, theirs)
        for value, whose in ((score, "the backend"), (eager_score, "eager")):
            if not np.isfinite(value):
                raise UsageError(f"score_items(metric=): {self.name} is {value} under {whose}; it has to be finite")
        scores = self._resampled((ours, theirs), resamples, progress) if resamples else None
        return AccuracyMeasurement(items, score, eager_score, eager_score - score, scores, metric=self.name)

    @staticmethod
    def _values(value: Callable[[Answered], float], ours: Answered, theirs: Answered) -> tuple[float, float]:
        """Both values; equal answers are looked at once."""
        first = value(ours)
        return first, first if theirs is ours else value(theirs)

    def _resampled(
        self, answers: tuple[Answered, Answered], resamples: int, progress: Callable[[str], None]
    ) -> PairedScores:
        items = len(answers[0].predictions)
        generator, values = np.random.default_rng(_SEED), []
        for number in range(resamples):
            progress(f"{self.name} over {number} of {resamples} resamples of the items")
            places = generator.integers(0, items, items).tolist()
            drawn = [one.at(places) for one in dict.fromkeys(answers)]
            values.append(self._values(self._value_or_nan, drawn[0], drawn[-1]))
        actual, expected = zip(*values, strict=True)
        return PairedScores(actual, expected)

    def _value_or_nan(self, answered: Answered) -> float:
        try:
            return self.value(answered)
        except (ValueError, ArithmeticError, LookupError, RuntimeError, UsageError):  # as where a class is missing
            return float("nan")


def metric_of(given: Any) -> MetricOverItems:
    """Return the metric that a user gave; their object stays as it is where it can be copied.

    Raises:
        UsageError: it is no metric, or one of which less is better.
    """
    if isinstance(given, type):
        raise UsageError(
            f"score_items(metric=): {given.__name__} is a class; give an object of it, {given.__name__}(...)"
        )
    name = _name_of(given)
    if getattr(given, "higher_is_better", None) is False:
        raise UsageError(
            f"score_items(metric=): of {name} less is better; give a function of (predictions, references) that is "
            "higher for better ones, such as 1 - its value"
        )
    if all(callable(getattr(given, method, None)) for method in ("update", "compute", "reset")):
        return MetricOverItems(name, _of_torchmetrics(given), _stacked)
    if all(callable(getattr(given, method, None)) for method in ("add_batch", "compute")):
        return MetricOverItems(name, _of_evaluate(given), _plain)
    if not callable(given):
        raise UsageError(f"score_items(metric=): {printable(shown(given))} is no metric; {_WANTED}")
    first = _first_parameter(given)
    if first in _REFERENCES_FIRST:
        raise UsageError(
            f"score_items(metric=): {name} takes {first} first; write "
            f"metric=lambda predictions, references: {name}(references, predictions)"
        )
    return MetricOverItems(name, given, _stacked if first == _OF_TENSORS else _plain)


def _name_of(given: Any) -> str:
    name = getattr(given, "name", None) if hasattr(given, "add_batch") else getattr(given, "__name__", None)
    found = name if isinstance(name, str) else type(given).__name__
    return "the metric" if found == "<lambda>" else printable(one_line(found))


def _first_parameter(given: Callable[..., Any]) -> str:
    try:
        return next(iter(inspect.signature(given).parameters), "")
    except (TypeError, ValueError):  # of one that is written in C
        return ""


def _are_equal(ours: Answered, theirs: Answered) -> bool:
    """Tell whether all answers are equal; those that can't be compared at once are not."""
    pairs = ((ours.predictions, theirs.predictions), (ours.references, theirs.references))
    return all(_is_equal(one, other) for one, other in pairs)


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    both = (one, other)
    return all(isinstance(each, list) and _are_plain(each) for each in both) and bool(one == other)


def _are_plain(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return all(map(_are_plain, values))
    return isinstance(values, (str, bool, int, float))


def _of_torchmetrics(given: Any) -> Callable[[Any, Any], Any]:
    metric = copy.deepcopy(given)

    def compute(predictions: Any, references: Any) -> Any:
        metric.reset()
        metric.update(predictions, references)
        return metric.compute()

    return compute


def _of_evaluate(given: Any) -> Callable[[Any, Any], Any]:
    def compute(predictions: Any, references: Any) -> Any:
        given.add_batch(predictions=predictions, references=references)
        return given.compute()

    return compute


def _stacked(values: Sequence[Any]) -> Any:
    """One tensor of values that fit into one; else the values."""
    if all(isinstance(value, torch.Tensor) for value in values):
        return torch.stack(list(values)) if len({(value.shape, value.dtype) for value in values}) == 1 else list(values)
    return torch.tensor(values) if all(isinstance(value, (bool, int, float)) for value in values) else list(values)


def _plain(values: Sequence[Any]) -> list[Any]:
    return [value.tolist() if isinstance(value, torch.Tensor) else value for value in values]


def _taken(column: Any, places: Sequence[int]) -> Any:
    if isinstance(column, torch.Tensor):
        return column[torch.as_tensor(places)]
    return [column[place] for place in places]
