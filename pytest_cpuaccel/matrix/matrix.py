"""The run of the matrix: a process for each architecture, and a cell for whatever happens to it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.matrix.architecture import Architecture
from pytest_cpuaccel.matrix.cell import Cell, Status
from pytest_cpuaccel.matrix.worker import work

_SPAWN = multiprocessing.get_context("spawn")


def matrix(
    architectures: Sequence[Architecture], backends: Sequence[Backend], *, timeout_s: float, jobs: int
) -> Iterator[Cell]:
    """Yield a cell for every architecture under every backend, as they come, from ``jobs`` processes at a time.

    A crash, or a cell that takes longer than ``timeout_s``, loses that cell alone. All processes are gone when
    the iterator is closed.
    """
    waiting = deque((architecture.name, tuple(backends)) for architecture in architectures)
    running: list[_Run] = []
    with tempfile.TemporaryDirectory(prefix="cpuaccel-matrix-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_start(*waiting.popleft(), Path(folder)))
                wait_s = max(0.0, min(run.began + timeout_s for run in running) - time.monotonic())
                ready = connection.wait([run.cells for run in running], wait_s)
                for run in list(running):
                    cell = run.next_cell(timeout_s) if run.cells in ready or run.is_late(timeout_s) else None
                    if cell is not None:
                        yield cell
                        running.remove(run)
                        running += _continued(run, Path(folder))
        finally:
            for run in running:
                run.stop()


@dataclass
class _Run:
    """A process at work on the first of ``backends``, since ``began`` on the monotonic clock, in seconds."""

    architecture: str
    backends: tuple[Backend, ...]
    process: BaseProcess
    cells: connection.Connection
    log: Path
    began: float
