"""The place of a call: the module's path, and behind it ``#2`` in a second call of one run."""

from __future__ import annotations

import re

_LATER = re.compile(r"(.*)#([1-9]\d*)", re.DOTALL)


def place_of_call(path: str, number: int = 1) -> str:
    """Return the place of a module's call; ``number`` counts its calls from 1."""
    return path if number == 1 else f"{path}#{number}"


def path_of_call(place: str) -> str:
    """Return the path of the module that was called at a place."""
    later = _LATER.fullmatch(place)
    return later[1] if later else place
