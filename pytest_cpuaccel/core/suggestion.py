"""Suggestions for a misspelt name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

_NO_OTHER_NAMES: Mapping[str, Sequence[str]] = MappingProxyType({})
_NEAR = 0.6
"""The least likeness of a misspelt name, by difflib: ``onnx`` is no misspelt ``openvino``, with 0.5."""
_VERY_NEAR = 0.76
"""The same for other names, many of which are short: ``nope`` is no misspelt ``none``, with 0.75."""


def suggestion(name: object, known: Iterable[str], other_names: Mapping[str, Sequence[str]] = _NO_OTHER_NAMES) -> str:
    """Return the known names that may be meant, as a question; all of them where none is near.

    ``other_names`` maps words that people use, in lower case with hyphens, to known names. Such a word counts before
    a known name that is only similar. Case, and underscores in place of hyphens, don't matter.
    """
    names = list(known)
    meant = [found for found in _meant(name, names, other_names) if found in names]
    return f"did you mean {_either(meant)}?" if meant else f"there are: {', '.join(names)}"


def _meant(name: object, names: Sequence[str], other_names: Mapping[str, Sequence[str]]) -> Sequence[str]:
    word = _plain(str(name))
    if word in other_names:
        return other_names[word]
    if near := _nearest(word, {_plain(known): known for known in names}, _NEAR):
        return [near]
    return other_names.get(_nearest(word, {other: other for other in other_names}, _VERY_NEAR), ())


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def _nearest(word: str, names: Mapping[str, str], likeness: float) -> str:
    return next((names[found] for found in difflib.get_close_matches(word, names, n=1, cutoff=likeness)), "")


def _either(names: Sequence[str]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last
