"""The heap of Python's objects: which of them the garbage collector looks at."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def older_objects_uncollected() -> Iterator[None]:
    """Look for garbage only among objects made meanwhile; among those of torch and transformers it takes half a second.

    Does nothing where part of the heap is frozen already (from Python 3.12 on some always is): that could not be told
    apart when it is thawed.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
