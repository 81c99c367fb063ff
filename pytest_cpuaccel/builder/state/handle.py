"""Handles: running generators, files, connections. A call advances them, and nothing can set them back."""

from __future__ import annotations

import queue
from typing import Any

from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.note import ITERATORS, copied

_OPERATIONS = ("__next__", "send", "fileno", "cursor")
_OF_NO_VIEW = (queue.SimpleQueue,)
"""Types that can't be read without taking an item out."""


def is_handle(value: Any) -> bool:
    """Tell whether an object is a handle: an iterator that can't be copied, or one with a file descriptor or cursor.

    A project's own iterator is not a handle: its attributes are noted.
    """
    kind = type(value)
    if isinstance(value, _OF_NO_VIEW):
        return True
    if isinstance(value, type) or not any(hasattr(kind, name) for name in _OPERATIONS):
        return False
    return copied(value) is None if isinstance(value, ITERATORS) else not is_project_code(kind)
