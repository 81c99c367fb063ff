"""The machine's lock: clocks run alone, nothing deadlocks, nobody waits for ever."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cpuaccel.core.errors import BusyError, UsageError
from pytest_cpuaccel.machine.lock import MachineLock

HOLDER = """
import subprocess, sys
from pathlib import Path
from pytest_cpuaccel.machine.lock import MachineLock

script, path, *steps = sys.argv[1:]

def hold(how, *steps):
    with getattr(MachineLock(Path(path), 30), how.lstrip("+"))():
        print(how, flush=True)
        input()
        if not steps:
            return
        if steps[0].startswith("+"):
            hold(*steps)
        else:
            subprocess.run([sys.executable, "-c", script, script, path, *steps], check=True)
        print("ended", flush=True)
        input()

hold(*steps)
"""


class Holder:
    """Another process that takes the lock in these ways, one within the other, and goes on when told to.

    Each but the first is another process's, unless it begins with "+".
    """

    def __init__(self, path: Path, *how: str) -> None:
        command = [sys.executable, "-c", HOLDER, HOLDER, str(path), *how]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def holds(self) -> str:
        """Wait until it has the lock; return how, or "ended" when what it did within is over."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        assert ready, "it waits in vain"
        return self.process.stdout.readline().strip()

    def waits(self) -> bool:
        return not select.select([self.process.stdout], [], [], 0.3)[0]

    def go_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Let go of the outermost."""
        self.go_on()
        assert self.process.wait(20) == 0


def as_they_get_it(*holders: Holder) -> Iterator[Holder]:
    """Yield holders in the order in which they get the lock."""
    remaining = {holder.process.stdout: holder for holder in holders}
    while remaining:
        ready, _, _ = select.select(list(remaining), [], [], 20)
        assert ready, "they wait for each other"
        holder = remaining.pop(ready[0])
        holder.holds()
        yield holder


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(lock_path: Path) -> Iterator[Callable[..., Holder]]:
    started: list[Holder] = []

    def start(*how: str) -> Holder:
        started.append(Holder(lock_path, *how))
        return started[-1]

    yield start
    for holder in started:
        if holder.process.poll() is None:
            os.killpg(holder.process.pid, signal.SIGKILL)
        holder.process.communicate()


Start = Callable[..., Holder]


def test_readers_share_and_a_clock_waits_for_them_and_runs_alone(holder: Start) -> None:
    readers = [holder("shared"), holder("shared")]
    for reader in readers:
        reader.holds()
    clock = holder("alone")
    assert clock.waits()
    for reader in readers:
        reader.end()
    clock.holds()
    late, another = holder("shared"), holder("alone")
    assert late.waits()
    assert another.waits()
    clock.end()
    for waiting in as_they_get_it(late, another):
        waiting.end()


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_a_process_that_was_killed_holds_nothing(holder: Start, lock_path: Path, how: str) -> None:
    killed = holder(how)
    killed.holds()
    killed.process.kill()
    killed.process.wait()
    with MachineLock(lock_path, 5).alone():
        pass


def test_two_that_share_and_both_want_a_clock_get_it_one_after_the_other(holder: Start) -> None:
    two = [holder("shared", "+alone") for _ in range(2)]
    for one in two:
        one.holds()
    two[0].go_on()
    assert two[0].waits()
    two[1].go_on()
    for one in as_they_get_it(*two):
        one.go_on()
        assert one.holds() == "ended"
        one.end()


def test_within_one_process_a_share_lasts_to_its_own_end_whatever_is_done_within(holder: Start) -> None:
    sharing = holder("shared", "+shared", "+alone", "+alone", "+shared")
    for step in ("shared", "+shared", "+alone", "+alone", "+shared", "ended", "ended", "ended", "ended"):
        assert sharing.holds() == step
        clock = holder("alone") if step == "ended" else None
        if clock:
            assert clock.waits()
            clock.process.kill()
        sharing.go_on()
    assert sharing.process.wait(20) == 0


@pytest.mark.parametrize("outer", ["shared", "alone"])
@pytest.mark.parametrize("nested", ["shared", "alone"])
def test_what_a_holder_starts_does_not_wait_for_it(holder: Start, outer: str, nested: str) -> None:
    both = holder(outer, nested)
    assert both.holds() == outer
    both.go_on()
    assert both.holds() == nested


def test_a_nested_clock_waits_for_others(holder: Start) -> None:
    other, both = holder("shared"), holder("shared", "alone")
    other.holds()
    both.holds()
    both.go_on()
    assert both.waits()
    other.end()
    assert both.holds() == "alone"


def test_holders_that_wait_for_what_they_started_are_not_waited_for(holder: Start) -> None:
    """Each of three holds a share and waits for a process of its own, which waits in turn."""
    three = [holder("shared", nested) for nested in ("alone", "alone", "shared")]
    for one in three:
        one.holds()
    for one in three:
        one.go_on()
    for one in as_they_get_it(*three):
        one.go_on()
        assert one.holds() == "ended"
        one.end()


@pytest.mark.parametrize(("how", "doing"), [("alone", "has the machine alone"), ("shared", "is at work")])
def test_a_clock_that_waited_in_vain_names_who_holds_the_machine(
    holder: Start, lock_path: Path, how: str, doing: str
) -> None:
    hanging = holder(how)
    hanging.holds()
    told: list[str] = []
    with pytest.raises(BusyError) as refusal, MachineLock(lock_path, 1.5).alone(told.append):
        pass
    text = str(refusal.value)
    assert text.startswith(f"the machine did not become free in 1.5 s: pid {hanging.process.pid} ({sys.executable} -c ")
    assert f"{doing} ({lock_path}); end it if it hangs, or allow more time with --cpu-wait" in text
    assert told[0].startswith(f"waiting for pid {hanging.process.pid} (")
    assert told[0].endswith(f"), which {doing}")
    hanging.end()
    with MachineLock(lock_path, 5).alone():
        pass


def test_seconds_of_waiting_are_counted_by_whom_they_were_for(holder: Start, lock_path: Path) -> None:
    hanging = holder("alone")
    hanging.holds()
    for controller in (None, os.getpid()):  # this process started the holder
        lock = MachineLock(lock_path, 0.3, controller)
        with lock.shared():
            pass
        waited = (lock.waited_for_sessions_s, lock.waited_for_workers_s)
        assert min(waited) == 0
        assert max(waited) > 0.2
        assert bool(lock.waited_for_workers_s) is (controller is not None)
    hanging.end()
    lock = MachineLock(lock_path, 5)
    with lock.shared(), lock.alone():
        pass
    assert lock.waited_for_sessions_s == 0


def test_a_process_that_hangs_is_waited_for_twice_as_long_as_once_at_most(holder: Start, lock_path: Path) -> None:
    hanging = holder("alone")
    hanging.holds()
    lock = MachineLock(lock_path, 0.4)
    for seconds in ("0.4", "0.2", "0.1"):
        with lock.shared() as refusal:
            assert f"did not become free in {seconds} s" in refusal
        with pytest.raises(BusyError, match=f"did not become free in {seconds} s"), lock.alone():
            pass
    hanging.end()
    with lock.shared(), lock.alone():
        pass
    hanging = holder("alone")
    hanging.holds()
    with lock.shared() as refusal:
        assert "did not become free in 0.4 s" in refusal


def test_a_share_that_was_waited_for_in_vain_is_done_without(holder: Start, lock_path: Path) -> None:
    hanging = holder("alone")
    hanging.holds()
    with MachineLock(lock_path, 0.2).shared() as refusal:
        assert f"pid {hanging.process.pid} " in refusal
    hanging.end()
    with MachineLock(lock_path, 5).shared() as refusal:
        assert refusal == ""


def test_other_users_can_open_the_file(lock_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with MachineLock(lock_path).alone():
            pass
    finally:
        os.umask(before)
    assert lock_path.stat().st_mode & 0o777 == 0o666


def test_a_file_that_cannot_be_opened_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "lock"
    with pytest.raises(UsageError) as refusal, MachineLock(path).alone():
        pass
    assert str(refusal.value) == (
        f"the machine's lock {path} can't be opened: No such file or directory; "
        "set TMPDIR to a folder that can be written"
    )


STAMPS = """
import contextlib, os, time
from pathlib import Path
from pytest_cpuaccel.machine import lock as machine_lock

@contextlib.contextmanager
def stamped(what):
    begin = time.monotonic_ns()
    yield
    with open(os.environ["STAMPS"], "a") as file:
        file.write(f"{what} {os.getpid()} {begin} {time.monotonic_ns()}\\n")

@contextlib.contextmanager
def alone(self, tell, of=machine_lock.MachineLock.alone):
    with of(self, tell), stamped("clock"):
        yield

machine_lock.MachineLock.alone = alone
"""
TESTS = """
import time
import pytest, torch
from conftest import stamped

@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.latency_budget(max_slowdown="900%")
def test_timed(cpu_model, batch):
    with stamped("body"):
        cpu_model(torch.ones(batch, 16))

@pytest.mark.parametrize("number", range(4))
def test_plain(number):
    with stamped("body"):
        time.sleep(0.1)
"""


def test_clocks_of_workers_and_of_sessions_never_overlap_with_anything(
    mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session with two workers and one without any, at the same time."""
    pytest.importorskip("xdist")
    stamps = mlp_project.path / "stamps"
    monkeypatch.setenv("STAMPS", str(stamps))
    conftest = mlp_project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + STAMPS)
    mlp_project.makepyfile(test_it=TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cpu-backends=twin"]
    sessions = [
        subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) for more in (["-n2"], ["-p", "no:xdist"])
    ]
    for session in sessions:
        text, _ = session.communicate(timeout=120)
        assert session.returncode == 0, text
    spans = [line.split() for line in stamps.read_text().splitlines()]
    assert len({pid for _, pid, _, _ in spans}) >= 3
    clocks = [span for span in spans if span[0] == "clock"]
    assert len(clocks) == 4
    for clock in clocks:
        for span in spans:
            assert span is clock or int(span[3]) <= int(clock[2]) or int(clock[3]) <= int(span[2])


INNER = """
import pytest, torch

@pytest.mark.latency_budget(max_slowdown="900%")
def test_timed(cpu_model):
    cpu_model(torch.ones(5, 16))
"""
OUTER = """
import subprocess, sys

def test_session(cpu_backend):
    command = [sys.executable, "-m", "pytest", "-q", "inner.py", "--cpu-inconclusive=fail", "--cpu-wait=60 s"]
    subprocess.run(command, check=True)
"""


def test_a_session_within_a_test_can_time(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_outer=OUTER, inner=INNER)
    mlp_project.runpytest_inprocess("test_outer.py").assert_outcomes(passed=1)


def test_a_timing_that_never_had_the_machine_is_inconclusive(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(INNER)
    hanging = Holder(Path(os.environ["TMPDIR"]) / "cpuaccel.lock", "shared")
    try:
        hanging.holds()
        result = mlp_project.runpytest_inprocess("--cpu-wait=0.1 s", "--cpu-report=run.json")
    finally:
        hanging.end()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "INCONCLUSIVE *: eager: forward 5x16: not measured, because the machine did not become free in 0.1 s: "
            f"pid {hanging.process.pid} (*) is at work (*"
        ]
    )
    (found,) = json.loads((mlp_project.path / "run.json").read_text())["results"]
    assert found["latency"]["verdict"] == "INCONCLUSIVE"
