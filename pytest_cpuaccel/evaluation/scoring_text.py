"""What messages on ``score_items`` say of a value that a user gave or returned."""

from __future__ import annotations

from typing import Any

import torch

from pytest_cpuaccel.core.given_value import shown
from pytest_cpuaccel.core.one_line import one_line, printable

WANTED = "give score_items(fn, items) a function fn(model, item) that returns one number, and the items"


def name_of(function: object) -> str:
    """Return what to call a function in messages."""
    return getattr(function, "__name__", "the function")


def described(value: object) -> str:
    """Return a value with its type, shortened."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        numbers = "x".join(map(str, shape))
        return f"{with_article(type(value).__name__)} of shape {numbers or '()'}"
    if value is None:
        return "None"
    short = printable(shown(value))
    return short if callable(value) else f"{with_article(type(value).__name__)} {short}"


def answer_text(answer: object) -> str:
    """Return an answer as a report shows it: on one line, without what moves a terminal's cursor."""
    plain = plain_value(answer)
    if plain is not None:
        return printable(one_line(str(plain)))
    return described(answer) if hasattr(answer, "shape") else printable(one_line(repr(answer)))


def plain_value(value: Any) -> str | float | None:
    """Return a text or a number, also of a tensor of one element; None for anything else."""
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_complex():
        return value.item()
    if not isinstance(value, (str, bool, int, float)) and callable(getattr(value, "item", None)):
        return value.item() if getattr(value, "size", 0) == 1 else None
    return value if isinstance(value, (str, bool, int, float)) else None


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
