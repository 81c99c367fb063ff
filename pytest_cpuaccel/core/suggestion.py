"""Suggestions for a misspelt name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

_NO_SYNONYMS: Mapping[str, str] = MappingProxyType({})


def suggestion(name: object, known: Iterable[str], synonyms: Mapping[str, str] = _NO_SYNONYMS) -> str:
    """Return the nearest of the known names as a question; all of them where none is near.

    ``synonyms`` maps other words to known names; they are tried where no known name is near.
    """
    names = list(known)
    near = _nearest(name, names) or synonyms.get(_nearest(name, synonyms))
    return f"did you mean {near!r}?" if near else f"there are: {', '.join(names)}"


def _nearest(name: object, words: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(str(name), list(words), n=1, cutoff=0.5)), "")
