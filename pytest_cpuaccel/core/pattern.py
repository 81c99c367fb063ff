"""Patterns of names: the closest of several counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from pytest_cpuaccel.core.errors import UsageError

T = TypeVar("T")

_WILDCARD = re.compile(r"\[!?\]?[^\]]*\]|[*?]")


def closest(name: str, given: Mapping[str, T], fits: Callable[[str, str], bool] = fnmatchcase) -> T | None:
    """Return the value of the pattern that fits a name most closely; None where none fits.

    The name itself is closest, then the pattern with the most literal characters, which are those outside
    ``*``, ``?`` and ``[...]``. The order of the patterns does not matter.

    Raises:
        UsageError: two patterns fit equally closely, and their values differ.
    """
    if name in given:
        return given[name]
    fitting = [pattern for pattern in given if fits(name, pattern)]
    if not fitting:
        return None
    most = max(map(_literals, fitting))
    first, *others = (pattern for pattern in fitting if _literals(pattern) == most)
    for other in others:
        if given[other] != given[first]:
            raise UsageError(
                f"{first!r} and {other!r} fit {name!r} equally closely and differ; give {name!r} a value of its own"
            )
    return given[first]


def matches(name: str, pattern: str) -> bool:
    """Tell whether an output is meant: ``logits``, a glob ``*_logits``, or a group, ``hidden_states``."""
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def _literals(pattern: str) -> int:
    return len(_WILDCARD.sub("", pattern))
