"""The run of the matrix: a process for each architecture, and a cell for each result in it."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.machine.child_process import ChildProcess, Program
from pytest_cpuaccel.support_matrix.cell import Cell, Status, without_folders
from pytest_cpuaccel.support_matrix.sending import packed
from pytest_cpuaccel.support_matrix.worker import READY
from pytest_cpuaccel.zoo.architecture import Architecture

_WORKER = "pytest_cpuaccel.support_matrix.worker"

_START_S = 120
"""The most seconds that a process may take to import torch and transformers and to make its model."""

_GOODBYE_S = 20
"""The most seconds that a process may take to end by itself; it removes its temporary files then."""


def matrix(plan: Iterable[tuple[Architecture, Sequence[Backend]]], *, timeout_s: float, jobs: int) -> Iterator[Cell]:
    """Yield a cell for each architecture under each of its backends, when finished, from ``jobs`` processes at a time.

    A crash, or a cell that takes longer than ``timeout_s`` (without imports), loses that cell alone. All processes have
    ended when the iterator ends or is closed.
    """
    waiting = deque((architecture.name, tuple(backends)) for architecture, backends in plan if backends)
    running: list[_Worker] = []
    with tempfile.TemporaryDirectory(prefix="cpuaccel-matrix-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_started(*waiting.popleft(), Path(folder)))
                wait([worker.cells for worker in running], min(worker.left_s(timeout_s) for worker in running))
                for worker in tuple(running):
                    yield from worker.news(timeout_s)
                    if worker.is_over:
                        worker.stop()
                        running.remove(worker)
                        if worker.backends:
                            waiting.appendleft((worker.architecture, worker.backends))
        finally:
            for worker in running:
                worker.stop()


@dataclass
class _Worker:
    """A process at work on the first of ``backends`` since ``began``, on the monotonic clock in seconds."""

    architecture: str
    backends: tuple[Backend, ...]
    process: ChildProcess
    cells: Connection
    began: float
    is_over: bool = False

    def left_s(self, timeout_s: float) -> float:
        """Return how long the current cell may still take."""
        return max(0.0, self.began + timeout_s - time.monotonic())

    def news(self, timeout_s: float) -> Iterator[Cell]:
        """Yield the cell that was finished or lost, if there is one."""
        if self.cells.poll():
            try:
                cell = self.cells.recv()
                if cell is READY:
                    self.began = time.monotonic()
                else:
                    yield self._next(cell)
            except EOFError:
                yield self._lost(str(self.process.wait()))
        elif not self.left_s(timeout_s):
            yield self._lost(f"hangs: no answer within {timeout_s:g} s")

    def stop(self) -> None:
        """End the process and its children; one that has sent all its cells may end by itself."""
        self.process.wait(0 if self.backends else _GOODBYE_S)
        self.process.end()
        self.cells.close()

    def _next(self, cell: Cell) -> Cell:
        self.backends, self.began = self.backends[1:], time.monotonic()
        self.is_over = not self.backends
        return replace(cell, reason=without_folders(cell.reason))

    def _lost(self, reason: str) -> Cell:
        seconds = round(max(0.0, time.monotonic() - self.began), 2)
        lost = Cell(self.architecture, self.backends[0].name, Status.CRASH, reason=reason, seconds=seconds)
        told = self._next(lost)
        self.is_over = True
        return told


def _started(architecture: str, backends: tuple[Backend, ...], folder: Path) -> _Worker:
    wanted = folder / f"{architecture}.pickle"
    wanted.write_bytes(packed(backends))
    receiving, sending = Pipe(duplex=False)
    with sending:
        process = ChildProcess(
            Program(
                ("-m", _WORKER, architecture, str(wanted), str(sending.fileno()), str(folder)),
                environment={
                    "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor")),
                    "HF_HUB_OFFLINE": "1",  # nothing here is on the hub; asking for it costs seconds
                },
                log=folder / f"{architecture}.log",
                descriptors=(sending.fileno(),),
            )
        )
    return _Worker(architecture, backends, process, receiving, time.monotonic() + _START_S)
