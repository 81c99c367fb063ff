"""The run of the matrix: a process for each architecture, and a cell for whatever happens in it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.isolated.exit_status import death
from pytest_cpuaccel.support_matrix.cell import Cell, Status, without_folders
from pytest_cpuaccel.support_matrix.worker import READY, log_of, work
from pytest_cpuaccel.zoo.architecture import Architecture

_START_S = 120
"""How long a process may take to import torch and transformers and to make its model."""

_GOODBYE_S = 20
"""How long a process may take to end in peace, which lets it remove what it left in the machine."""


def matrix(plan: Iterable[tuple[Architecture, Sequence[Backend]]], *, timeout_s: float, jobs: int) -> Iterator[Cell]:
    """Yield a cell for each architecture under each of its backends, as they come, from ``jobs`` processes at a time.

    A crash, or a cell that takes longer than ``timeout_s`` (imports not counted), loses that cell alone. All
    processes are gone when the iterator ends or is closed.
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
    process: BaseProcess
    cells: Connection
    log: Path
    began: float
    is_over: bool = False

    def left_s(self, timeout_s: float) -> float:
        """Return how long the cell at work may still take."""
        return max(0.0, self.began + timeout_s - time.monotonic())

    def news(self, timeout_s: float) -> Iterator[Cell]:
        """Yield the cell that is finished, or lost, if any is."""
        if self.cells.poll():
            try:
                cell = self.cells.recv()
                if cell is READY:
                    self.began = time.monotonic()
                else:
                    yield self._next(cell)
            except EOFError:
                self.process.join()
                yield self._lost(death(self.process.exitcode or 0, self.log))
        elif not self.left_s(timeout_s):
            yield self._lost(f"hangs: no answer within {timeout_s:g} s")

    def stop(self) -> None:
        """End the process, and all that it started; one that has said all it had to say may go in peace."""
        assert self.process.pid is not None
        self.process.join(0 if self.backends else _GOODBYE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
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
    context = multiprocessing.get_context("spawn")  # a fork would share the state of whatever the caller imported
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(architecture, backends, sending, folder))
    process.start()
    sending.close()
    began = time.monotonic() + _START_S
    return _Worker(architecture, backends, process, receiving, log_of(architecture, folder), began)
