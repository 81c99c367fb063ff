"""Scores of a user's function, item by item."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

from pytest_cpuaccel.core.errors import UsageError

ScoreItem = Callable[[Any, Any], float]
_WANTED = "give score_items(fn, items) a function fn(model, item) that returns one number, and the items"
_LONGEST = 60
"""Characters of a value in a message."""


def listed(score_item: object, items: object) -> list[Any]:
    """Return the items, which may come from a generator.

    Raises:
        UsageError: there are none, or what was given is no function and items.
    """
    if not callable(score_item):
        swapped = ", and the function in that of the items" if callable(items) else ""
        raise UsageError(f"score_items: {_shown(score_item)} stands in the place of the function{swapped}; {_WANTED}")
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise UsageError(f"score_items: {_shown(items)} stands in the place of the items; {_WANTED} in a list")
    found = list(items)
    if not found:
        used_up = " (a generator that was used up before gives none)" if inspect.isgenerator(items) else ""
        raise UsageError(f"score_items: there are no items to score{used_up}; give at least one")
    return found


def scored(model: Any, score_item: ScoreItem, items: list[Any], under: str) -> tuple[float, ...]:
    """Return the score of each item; ``under`` says, in messages, what the model runs under.

    Raises:
        UsageError: the function can't be called so, or returned no number.
    """
    _check_takes(score_item, model, items[0])
    scores = []
    with torch.no_grad():
        for number, item in enumerate(items):
            scores.append(
                _number(score_item(model, item), f"{name_of(score_item)} returned", f"item {number}, {under}")
            )
    return tuple(scores)


def name_of(score_item: object) -> str:
    """Return what to call a function in messages."""
    return getattr(score_item, "__name__", "the function")


def _check_takes(score_item: ScoreItem, model: Any, item: Any) -> None:
    try:
        signature = inspect.signature(score_item)
    except (TypeError, ValueError):  # of one that is written in C
        return
    try:
        signature.bind(model, item)
    except TypeError as mistake:
        raise UsageError(
            f"score_items: {name_of(score_item)}{signature} can't be called with a model and an item ({mistake}); "
            f"{_WANTED}"
        ) from None


def _number(score: Any, returned: str, where: str) -> float:
    try:
        if not isinstance(score, (str, bytes, complex)):
            return float(score)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise UsageError(f"score_items: {returned} {_shown(score)} for {where}; return one number, higher is better")


def _shown(value: object) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None:
        numbers = "x".join(map(str, shape))
        return f"{_article(type(value).__name__)} of shape {numbers or '()'}"
    if value is None:
        return "None"
    text = " ".join(repr(value).split())
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return short if callable(value) else f"{_article(type(value).__name__)} {short}"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
