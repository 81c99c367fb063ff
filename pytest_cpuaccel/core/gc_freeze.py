"""Limits on the garbage collector's work, and memory that is given back to the system."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def older_objects_uncollected() -> Iterator[None]:
    """Collect garbage only among objects made meanwhile: a search among torch's and transformers' takes half a second.

    Do nothing if part of the heap is frozen already (from Python 3.12 on some always is), because unfreezing would thaw
    that part too.
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
"""The least bytes that are worth the tenth of a second that a collection takes."""


def give_back(size: int) -> None:
    """Collect garbage after work with a model of ``size`` bytes, and give freed memory back to the system.

    glibc keeps blocks of up to 32 MiB for later, which is most of a model's weights (``mallopt(3)``, M_MMAP_THRESHOLD).
    """
    if size < _MUCH:
        return
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
