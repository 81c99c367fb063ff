"""Quiet: what the interpreter must not do while calls are timed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from pytest_cpuaccel.core.gc_freeze import older_objects_uncollected


class Timed(Protocol):
    """Anything that knows how many seconds after the start it was taken."""

    @property
    def elapsed_s(self) -> float: ...


Sample = TypeVar("Sample", bound=Timed)


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from running by itself, and afterwards leave it as it was found."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with older_objects_uncollected():
            yield
    finally:
        if was_enabled:
            gc.enable()


def attended(samples: Iterable[Sample], noun: str, progress: Callable[[str], None]) -> Iterator[Sample]:
    """Yield the samples; about once a second, between two of them, collect garbage and report progress.

    Without it a model that leaves reference cycles would keep every activation of the whole measurement.
    Of a frozen heap, a collection looks only at what the timed calls left behind.
    """
    due_s = 1.0
    for count, sample in enumerate(samples, 1):
        if sample.elapsed_s >= due_s:
            due_s = sample.elapsed_s + 1.0
            gc.collect()
            progress(f"{count} {noun} in {sample.elapsed_s:.0f} s")
        yield sample
