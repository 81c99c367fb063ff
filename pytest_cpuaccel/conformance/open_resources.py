"""Open resources: files, threads and temporary entries, which garbage collection does not free."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class OpenResources:
    """Counts of open file descriptors, of threads (native ones too), and of entries in the temporary folder."""

    open_files: int
    threads: int
    temporary_files: int


def counted(temporary: Path) -> OpenResources:
    """Collect garbage, then return the open resources of this process."""
    gc.collect()
    return OpenResources(
        open_files=_entries(Path("/proc/self/fd")),
        threads=_entries(Path("/proc/self/task")),
        temporary_files=sum(len(folders) + len(files) for _, folders, files in os.walk(temporary)),
    )


def growth(counted: tuple[OpenResources, ...]) -> tuple[str, ...]:
    """Return the resources that grew from every count to the next; one that grew only once belongs to the library."""
    rows = ((field.name, [getattr(item, field.name) for item in counted]) for field in fields(OpenResources))
    return tuple(
        f"{name.replace('_', ' ')}: {', then '.join(map(str, counts))}"
        for name, counts in rows
        if all(later > earlier for earlier, later in pairwise(counts))
    )


def _entries(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())
