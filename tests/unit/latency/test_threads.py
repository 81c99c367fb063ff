from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cpuaccel.measure.latency import threads
from pytest_cpuaccel.measure.latency.threads import threads_used

MS = 1_000_000


class Kernel:
    """Accounts of threads below a folder, kept as Linux does, on a clock that only calls and rests move."""

    def __init__(self, folder: Path) -> None:
        self.ns = 0
        self._folder = folder
        self._ran: Counter[str] = Counter()
        self._queued: Counter[str] = Counter()
        self.background: dict[str, float] = {}

    def perf_counter_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.spend(seconds * 1e9, {})

    def call(self, ran: dict[str, float], queued: float = 0.0) -> Callable[[], None]:
        """Return a call of 1 ms in which threads run for these shares of it, and are queued for another."""
        return lambda: self.spend(MS, ran, queued)

    def spend(self, ns: float, ran: dict[str, float], queued: float = 0.0) -> None:
        self.ns += round(ns)
        for thread, share in {"main": 0.001, "idle": 0.001, **ran}.items():
            self._ran[thread] += round(share * ns)
            self._queued[thread] += round(queued * ns)
        for thread, share in self.background.items():
            self._ran[thread] += round(share * ns)
        for thread, total in self._ran.items():
            (self._folder / thread).mkdir(exist_ok=True)
            (self._folder / thread / "schedstat").write_text(f"{total} {self._queued[thread]} 1\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(threads, "TASKS", tmp_path)
    monkeypatch.setattr(threads, "time", kernel)
    monkeypatch.setattr(threading, "get_native_id", lambda: "main")
    return kernel


def test_work_on_the_calling_thread_is_one_thread(kernel: Kernel) -> None:
    assert threads_used(kernel.call({"main": 0.99}), told=1) == 1


@pytest.mark.parametrize("told", [1, 2])
def test_a_pool_that_shares_the_work_is_counted_whatever_it_was_told(kernel: Kernel, told: int) -> None:
    assert threads_used(kernel.call({"main": 0.9, "pool": 0.4}), told) == 2


def test_fewer_than_told_are_what_they_are(kernel: Kernel) -> None:
    assert threads_used(kernel.call({"main": 0.9}), told=4) == 1


def test_threads_that_wait_for_each_other_are_one(kernel: Kernel) -> None:
    assert threads_used(kernel.call({"main": 0.5, "pool": 0.5}), told=1) == 1


def test_on_a_crowded_machine_it_is_not_known_whether_they_work_at_once(kernel: Kernel) -> None:
    assert threads_used(kernel.call({"main": 0.5, "pool": 0.5}, queued=0.4), told=1) is None


def test_a_thread_that_runs_without_being_called_is_not_the_calls(kernel: Kernel) -> None:
    kernel.background["server"] = 0.7
    assert threads_used(kernel.call({"main": 0.95}), told=1) == 1
    assert threads_used(kernel.call({"main": 0.95, "pool": 0.95}), told=1) == 2


def test_a_thread_that_still_spins_after_other_work_is_not_the_calls(kernel: Kernel) -> None:
    work = kernel.call({"main": 0.95})

    def call() -> None:
        kernel.background["openmp"] = 1.0 if kernel.ns < 200 * MS else 0.0
        work()

    assert threads_used(call, told=1) == 1


def test_a_kernel_that_does_not_tell_is_no_mistake_of_anybodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(threads, "TASKS", tmp_path / "missing")
    assert threads_used(lambda: None, told=1) is None


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel keeps no schedstat")
def test_this_kernel_counts_the_calling_thread() -> None:
    assert threads_used(lambda: hashlib.sha256(b"x" * MS), told=1) == 1
