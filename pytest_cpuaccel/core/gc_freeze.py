"""The heap: which of Python's objects the garbage collector looks at, and what is given back of what was freed."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress


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


_MUCH = 64 * 2**20
"""Bytes from which on it is worth the tenth of a second that looking for garbage takes."""


def give_back(size: int) -> None:
    """Collect garbage after work with a model of many bytes, ``size``, and let the system have what was freed.

    glibc keeps blocks of up to 32 MiB for later, which is most of a model's weights (``mallopt(3)``, M_MMAP_THRESHOLD).
    """
    if size < _MUCH:
        return
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
