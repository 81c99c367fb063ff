"""The program of a process that examines one architecture under several backends, one cell after the other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.support_matrix.sending import unpacked
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

THREADS = 1
READY = None
"""The message before the first cell, when all imports are done."""

_CACHE_BYTES = 2 * 10**9


def work(architecture_name: str, backends: Sequence[Backend], cells: Connection, folder: Path) -> None:
    """Send READY, then a cell for each backend, in order; builds go to ``folder``."""
    import torch

    from pytest_cpuaccel.builder.artifact_store import ArtifactStore
    from pytest_cpuaccel.builder.builder import Builder
    from pytest_cpuaccel.evaluation.context import EvaluationContext
    from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
    from pytest_cpuaccel.measure.latency.config import RaceConfig
    from pytest_cpuaccel.support_matrix.examination import Examination

    torch.set_num_threads(THREADS)
    architecture = next(item for item in ARCHITECTURES if item.name == architecture_name)
    model = architecture.make()
    cache = ReferenceCache()
    cells.send(READY)
    store = ArtifactStore(folder / "builds", _CACHE_BYTES)
    torch.set_num_threads(THREADS)
    builder = Builder(store, THREADS, say=_ignore, busy=lambda _: contextlib.nullcontext())
    context = EvaluationContext(builder, cache, contextlib.nullcontext, RaceConfig(threads=THREADS))
    for backend in backends:
        cells.send(Examination(architecture, model, backend, context).cell())
        builder.release()


def _ignore(note: str) -> None:
    """Ignore notes; they are for people who run tests, and a cell says enough."""


def _main(architecture_name: str, backends: Path, cells: int, folder: Path) -> None:
    """Do the work on the backends that a file holds; the cells go to the pipe with the file descriptor ``cells``."""
    work(architecture_name, unpacked(backends.read_bytes()), Connection(cells, readable=False), folder)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
