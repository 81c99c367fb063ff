"""What a user's function returns for items, one by one or in batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.given_value import number_of, shown
from pytest_cpuaccel.evaluation.scoring_text import WANTED, answer_text, described, name_of
from pytest_cpuaccel.measure.metric import MetricOverItems, metric_of

ScoreItem = Callable[[Any, Any], Any]
ONE_NUMBER = "return one number, higher is better"
A_PAIR = "return (prediction, reference)"


@dataclass(frozen=True)
class Scoring:
    """How items are scored.

    ``batch_size``: the function takes a list of so many items; None: it takes one. ``stop_early`` ends it once the
    verdict is certain. With a ``metric`` the function returns pairs of prediction and reference.
    """

    fn: ScoreItem
    batch_size: int | None
    stop_early: bool
    metric: MetricOverItems | None

    @classmethod
    def of(cls, fn: ScoreItem, batch_size: object = None, stop_early: object = False, metric: object = None) -> Scoring:
        """Return what a user asked for.

        Raises:
            UsageError: a value that is none of its kind, or two that exclude each other.
        """
        if not isinstance(stop_early, bool):
            raise UsageError(f"score_items(stop_early=): {shown(stop_early)} is neither True nor False")
        is_count = isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size > 0
        if batch_size is not None and not is_count:
            raise UsageError(
                f"score_items(batch_size=): {shown(batch_size)} is no number of items; write 32, or leave it out for "
                "a function that takes one item"
            )
        if stop_early and metric is not None:
            raise UsageError("score_items(stop_early=): metric= needs the answers to all items; leave one of them out")
        known = batch_size if isinstance(batch_size, int) else None
        return cls(fn, known, stop_early, None if metric is None else metric_of(metric))

    @property
    def stands_alone(self) -> bool:
        """Tell whether its items can't be judged together with those of another call."""
        return self.stop_early or self.metric is not None

    def check_takes(self, model: Any) -> None:
        """Check that the function can be called.

        Raises:
            UsageError: it takes other arguments.
        """
        try:
            signature = inspect.signature(self.fn)
        except (TypeError, ValueError):  # of one that is written in C
            return
        try:
            signature.bind(model, None)
        except TypeError as mistake:
            what = "an item" if self.batch_size is None else "a list of items"
            raise UsageError(
                f"score_items: {name_of(self.fn)}{signature} can't be called with a model and {what} ({mistake}); "
                f"{WANTED}"
            ) from None

    def returned(self, model: Any, items: Mapping[int, Any], under: str) -> Iterator[Any]:
        """Yield what the function returns for each item, by place; ``under`` says what the model runs under.

        Raises:
            UsageError: it returned something else than one value for each item.
        """
        if self.batch_size is None:
            for item in items.values():
                yield self.fn(model, item)
            return
        given = list(items.values())
        for start in range(0, len(given), self.batch_size):
            batch = given[start : start + self.batch_size]
            yield from self._rows(self.fn(model, batch), len(batch), under)

    def _rows(self, found: Any, count: int, under: str) -> Iterable[Any]:
        columns = found if isinstance(found, tuple) and len(found) == 2 and all(map(_is_column, found)) else (found,)
        rows = [_listed(column) for column in columns]
        if any(row is None or len(row) != count for row in rows):
            each = A_PAIR if self.metric is not None else ONE_NUMBER
            values = ", ".join(map(_counted, columns))
            raise UsageError(
                f"score_items: {name_of(self.fn)} returned {values} for a batch of {count} items, {under}; "
                f"{each}, for each of them"
            )
        known = [row for row in rows if row is not None]
        return known[0] if len(known) == 1 else list(zip(*known, strict=True))

    def scored(self, found: Any, place: int, under: str) -> tuple[float, str | None]:
        """Return the score of the item of this place, and the answer if the function gave one.

        Raises:
            UsageError: it is no number, or one that is not finite.
        """
        score, answer = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        number = number_of(score)
        if number is None:
            returned = f"{name_of(self.fn)} returned {described(found)} for item {place}, {under}"
            raise UsageError(f"score_items: {returned}; {ONE_NUMBER}")
        if not isfinite(number):
            raise UsageError(f"score_items: item {place} scored {number} {under}; return a finite number")
        return number, None if answer is None else answer_text(answer)

    def predicted(self, found: Any, place: int, under: str) -> tuple[Any, Any]:
        """Return the prediction and the reference of the item of this place.

        Raises:
            UsageError: it is no such pair.
        """
        if isinstance(found, tuple) and len(found) == 2 and found[0] is not None and found[1] is not None:
            return _kept(found[0]), _kept(found[1])
        returned = f"{name_of(self.fn)} returned {described(found)} for item {place}, {under}"
        raise UsageError(f"score_items: {returned}; with metric= {A_PAIR}")


def check_function(fn: object, items: object) -> None:
    """Check that a function stands where one is asked for.

    Raises:
        UsageError: it does not.
    """
    if not callable(fn):
        swapped = ", and the function in that of the items" if callable(items) else ""
        raise UsageError(f"score_items: {described(fn)} stands in the place of the function{swapped}; {WANTED}")


def _is_column(value: Any) -> bool:
    return isinstance(value, list) or (hasattr(value, "shape") and len(value.shape) > 0)


def _listed(values: Any) -> Sequence[Any] | None:
    """The values of a batch; None if they are not many."""
    if hasattr(values, "shape"):
        return list(values) if len(values.shape) else None
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        return None
    return list(values)


def _counted(values: Any) -> str:
    found = None if hasattr(values, "shape") else _listed(values)
    return described(values) if found is None else f"{len(found)} value{'s' * (len(found) != 1)}"


def _kept(value: Any) -> Any:
    """A value that a later call of the model can't overwrite."""
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
