"""The arguments of a call by name, however they were given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def named_but_first(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of ``function`` with all but the first by name.

    They stay as they are where it names no such parameters, or does not take these arguments.
    """
    if len(args) < 2:
        return args, kwargs
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return args, kwargs
    first, *others = args
    names = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if len(names) < len(args) or names[: len(args)] != [each.name for each in parameters][: len(args)]:
        return args, kwargs
    named = dict(zip(names[1:], others, strict=False))
    return (args, kwargs) if named.keys() & kwargs.keys() else ((first,), named | kwargs)
