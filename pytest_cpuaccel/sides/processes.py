"""The processes of one environment, started once and asked for every test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pytest_cpuaccel.exchange.fields import Fields
from pytest_cpuaccel.measure.latency.side import Side
from pytest_cpuaccel.sides.remote_side import RemoteSide
from pytest_cpuaccel.sides.side_process import CalledWorkload, Ended, LostSideError, SideProcess

T = TypeVar("T")

_MOST_LOSSES = 3
"""A process that hangs costs the longest wait each time."""

_AT_ONCE = 2
"""Processes that start at the same time; imports of more would wait for each other."""


class NotStandingError(Exception):
    """A test does not stand by in this environment; ``ended`` tells how it ended there."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.sentence)
        self.ended = ended


@dataclass
class Processes:
    """``start(number)`` starts a process; none is started before it is needed.

    Where one is lost, all others end with it, and the next test gets fresh ones. After ``_MOST_LOSSES``, and where one
    can't be started at all, there are no others.
    """

    name: str
    start: Callable[[int], SideProcess]
    processes: list[SideProcess] = field(default_factory=list)
    _started: int = 0
    _losses: int = 0
    _standing: tuple[str, str | None] | None = None
    _lost: LostSideError | None = None

    def run(self, test: str, following: str | None, count: int) -> tuple[CalledWorkload, ...]:
        """Have ``count`` processes run a test; return what it called there, when it stands by in all of them.

        Raises:
            NotStandingError: it ended instead.
            LostSideError: a process is gone.
        """
        if self._losses < _MOST_LOSSES:
            self._lost = None
        self._standing = (test, following)
        return self.grow(count)

    def grow(self, count: int) -> tuple[CalledWorkload, ...]:
        """Have the test at hand stand by in ``count`` processes, of which those that it stands by in are the first.

        Raises:
            NotStandingError: it ended in one.
            LostSideError: a process is gone.
        """
        with self._losing():
            return self._grown(count)

    def sides(self, workload: int, count: int) -> Sequence[Side]:
        """Return the first ``count`` processes as sides of a race about one of the workloads."""
        return [RemoteSide(process, workload) for process in self.processes[:count]]

    def ask(self, order: str, arguments: Mapping[str, Any], read: Callable[[Fields], T]) -> T:
        """Return what the first process answers to an order.

        Raises:
            RefusedOrderError: it can't be done there.
            LostSideError: the process is gone.
        """
        with self._losing():
            return self.processes[0].ask(order, arguments, read)

    def answers(self, workload: int, *, of_eager: bool = False) -> Path:
        """Return the file with the answers that the first process found in the test, or those of its eager model.

        Raises:
            RefusedOrderError: they can't be written, or the eager model raises.
            LostSideError: the process is gone.
        """
        with self._losing():
            return self.processes[0].answers(workload, of_eager=of_eager)

    def leave(self) -> None:
        """End the test everywhere it stands by."""
        try:
            with self._losing():
                for process in self.processes:
                    if process.stands_by:
                        process.leave()
        except LostSideError:
            pass
        finally:
            self._standing = None

    def end(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.end()
        self.processes.clear()

    def _grown(self, count: int) -> tuple[CalledWorkload, ...]:
        assert self._standing is not None
        for some in _by(_AT_ONCE, range(len(self.processes), count)):
            for _ in some:
                self.processes.append(self.start(self._started))
                self._started += 1
            for process in self.processes[some.start :]:
                self._await(process)
        found: tuple[CalledWorkload, ...] = ()
        for process in self.processes[:count]:
            if not process.stands_by:
                heard = process.run(*self._standing)
                if isinstance(heard, Ended):
                    raise NotStandingError(heard)
                found = heard
        return found or self.processes[0].workloads

    def _await(self, process: SideProcess) -> None:
        try:
            process.await_start()
        except LostSideError:
            self._losses = _MOST_LOSSES
            raise

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        """End all processes where one is lost, and tell so of whatever is asked until the next test."""
        if self._lost is not None:
            raise self._lost
        try:
            yield
        except LostSideError as lost:
            self._lost = lost
            self._losses += 1
            self.end()
            raise


def _by(size: int, numbers: range) -> Iterator[range]:
    return (numbers[at : at + size] for at in range(0, len(numbers), size))
