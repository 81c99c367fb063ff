"""JSON that a stranger may have written."""

from __future__ import annotations

import json
from typing import Any

from pytest_cpuaccel.core.errors import UsageError

DEEPEST = 200
"""The most brackets in each other: twice as many as the deepest value takes, and more."""


MOST_VALUES = 1_000_000
"""The most values in a document: each takes memory, up to some hundred bytes for three of its text."""


def parsed(data: bytes, name: str) -> Any:
    """Return what JSON in UTF-8 says; a key that stands twice is refused, and NaN too.

    Raises:
        UsageError: it is not JSON, or nested too deep. The message calls it ``name``.
    """
    try:
        text = data.decode()
        if text.count(",") + text.count("[") + text.count("{") > MOST_VALUES:
            raise UsageError(f"holds more than {MOST_VALUES} values")
        _check_depth(text)
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UsageError as mistake:
        raise UsageError(f"{name!r}: {mistake}") from None
    except (ValueError, RecursionError) as mistake:  # also JSONDecodeError, UnicodeDecodeError, integers without end
        raise UsageError(f"{name!r} is no JSON: {str(mistake)[:100]}") from None


def _check_depth(text: str) -> None:
    depth = 0
    is_text = is_escaped = False
    for character in text:
        if is_text:
            is_text = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character == '"':
            is_text = True
        elif character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise UsageError(f"is nested more than {DEEPEST} deep")
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UsageError("a key stands twice in one object")
    return found


def _constant(name: str) -> Any:
    raise UsageError(f"{name} is no number of JSON")
