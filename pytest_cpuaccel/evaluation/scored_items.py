"""The items that a user gives to be scored: a list, a generator, or a data set."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.evaluation.scoring_text import WANTED, described, with_article

_SEED = 0


@dataclass(frozen=True)
class ScoredItems:
    """``count`` items, each fetched by its place."""

    count: int
    _source: Any

    @classmethod
    def of(cls, items: object) -> ScoredItems:
        """Return the items; those of a generator are all fetched now, those of a data set later.

        Raises:
            UsageError: there are none, or what was given is no collection of items.
        """
        _check(items)
        is_dataset = not isinstance(items, Iterable) or hasattr(items, "column_names")
        source: Any = items if is_dataset and _has_places(items) else list(items)  # type: ignore[call-overload]
        if not len(source):
            used_up = " (a generator that was used up before gives none)" if inspect.isgenerator(items) else ""
            raise UsageError(f"score_items: there are no items to score{used_up}; give at least one")
        return cls(len(source), source)

    def at(self, places: Iterable[int]) -> list[Any]:
        """Return the items of these places."""
        return [self._source[place] for place in places]

    def in_random_order(self) -> list[int]:
        """Return all places in an order that is the same each time: sorted items begin with those of one kind."""
        places = list(range(self.count))
        random.Random(_SEED).shuffle(places)
        return places


def _check(items: object) -> None:
    if isinstance(items, Mapping):
        raise UsageError(
            f"score_items: {with_article(type(items).__name__)} stands in the place of the items; {_of(items)}"
        )
    if hasattr(items, "to_dict") and (hasattr(items, "iterrows") or hasattr(items, "iter_rows")):
        raise UsageError(
            f"score_items: a {type(items).__name__} goes through its columns; give a list of its rows, such as "
            ".to_dict('records') of pandas"
        )
    if isinstance(items, DataLoader) and items.batch_sampler is not None and items.batch_size != 1:
        size = items.batch_size or 32
        raise UsageError(
            f"score_items: a DataLoader gives batches, not items; give its .dataset, and batch_size={size} for a "
            "function that takes a list of items"
        )
    if isinstance(items, (str, bytes)) or not (isinstance(items, Iterable) or _has_places(items)):
        raise UsageError(f"score_items: {described(items)} stands in the place of the items; {WANTED} in a list")


def _of(found: Mapping[Any, Any]) -> str:
    """What to give in place of a dict: a split of several data sets, or the rows of columns."""
    if not found:
        return f"it is empty; {WANTED} in a list"
    parts = ", ".join(list(map(str, found))[:3])
    if all(hasattr(part, "column_names") for part in found.values()):
        return f"give one of its splits ({parts})"
    counts = {len(column) if hasattr(column, "__len__") else 0 for column in found.values()}
    rows = ""
    if len(counts) == 1 and 0 not in counts:
        (count,) = counts
        rows = f"; for a slice data[:{count}] of a data set give data.select(range({count}))"
    return f"give one of its parts ({parts}), or its .items() in a list{rows}"


def _has_places(items: object) -> bool:
    return hasattr(items, "__getitem__") and hasattr(items, "__len__")
