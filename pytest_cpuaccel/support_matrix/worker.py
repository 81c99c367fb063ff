"""What runs in a process of its own: one architecture under several backends, one cell after the other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES

THREADS = 1
READY = None
"""What is sent before the first cell, once all is imported."""

_CACHE_BYTES = 2 * 10**9


def work(architecture_name: str, backends: Sequence[Backend], cells: Connection, folder: Path) -> None:
    """Send READY, then a cell for each backend, in order; builds, and what is printed, go to ``folder``.

    The process leads a session of its own, so that whoever kills it can kill what it started.
    """
    os.setsid()
    _print_to(log_of(architecture_name, folder))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))  # made whenever Dynamo is imported
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here is on the hub; asking for it costs seconds

    import torch

    from pytest_cpuaccel.builder.artifact_store import ArtifactStore
    from pytest_cpuaccel.builder.builder import Builder
    from pytest_cpuaccel.judge.context import EvaluationContext
    from pytest_cpuaccel.judge.reference_cache import ReferenceCache
    from pytest_cpuaccel.measure.latency.config import RaceConfig
    from pytest_cpuaccel.support_matrix.examination import Examination

    torch.set_num_threads(THREADS)
    architecture = next(item for item in ARCHITECTURES if item.name == architecture_name)
    model = architecture.make()
    book = ReferenceCache()
    cells.send(READY)
    store = ArtifactStore(folder / "builds", _CACHE_BYTES)
    torch.set_num_threads(THREADS)
    builder = Builder(store, THREADS, say=_ignore, busy=lambda _: contextlib.nullcontext())
    context = EvaluationContext(builder, book, contextlib.nullcontext, RaceConfig(threads=THREADS))
    for backend in backends:
        cells.send(Examination(architecture, model, backend, context).cell())
        builder.release()


def log_of(architecture_name: str, folder: Path) -> Path:
    """Return the file that takes what is printed during the work on an architecture."""
    return folder / f"{architecture_name}.log"


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)


def _ignore(note: str) -> None:
    """Notes are for whoever runs tests; a cell says all that is to be said here."""
