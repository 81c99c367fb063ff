"""Under pytest-xdist: the same verdicts and table, mistakes in one line, and a clock that runs alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_cpuaccel.measure.machine_lock import MachineLock
from tests.integration.test_reports import table_of

pytest.importorskip("xdist")

TESTS = """
import pytest, torch

@pytest.mark.parity
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_parity(cpu_model, batch):
    cpu_model(torch.ones(batch, 16))

@pytest.mark.latency_budget(p50="10 s")
def test_timed(cpu_model):
    cpu_model(torch.ones(5, 16))

def test_plain():
    pass
"""
FIGURES = ("p50", "vs eager")


def test_verdicts_and_table_are_those_of_a_run_without(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=TESTS)
    alone = mlp_project.runpytest_inprocess("--cpu-backends=twin,off", "--cpu-report=alone.json")
    spread = mlp_project.runpytest_subprocess("-n2", "--cpu-backends=twin,off", "--cpu-report=spread.json")
    assert alone.parseoutcomes() | {"warnings": 0} == spread.parseoutcomes() | {"warnings": 0}
    assert without_figures(table_of(alone.outlines)) == without_figures(table_of(spread.outlines))
    assert verdicts(mlp_project.path / "alone.json") == verdicts(mlp_project.path / "spread.json")


def without_figures(table: list[list[str]]) -> list[list[str]]:
    kept = [index for index, heading in enumerate(table[0]) if heading not in FIGURES]
    return [[line[index] for index in kept] for line in table]


def verdicts(path: Path) -> set[tuple[str, ...]]:
    results = json.loads(path.read_text())["results"]
    return {
        (
            result["test"],
            result["outcome"],
            *(f"{kind} {result[kind]['verdict']}" for kind in ("parity", "latency") if kind in result),
        )
        for result in results
    }


@pytest.mark.parametrize(
    ("mark", "option", "words"),
    [
        ("parity", "--cpu-backends=twinn", "--cpu-backends: no backend named 'twinn'; did you mean 'twin'?"),
        ("parity", "--cpu-backends=absent", "--cpu-backends: absent: no-such-distribution is not installed; *"),
        ("parity", "--cpu-report=r.xml", "--cpu-report: 'r.xml' ends in none of .json, .md, .html"),
        (
            "parity(rtoll=1)",
            "--cpu-backends=twin",
            "*test_it[[]twin[]]: @parity takes no 'rtoll'; did you mean 'rtol'?",
        ),
        ("cpu_backends('twinn')", "--cpu-backends=twin", "*: @cpu_backends: no backend named 'twinn'; *"),
    ],
)
def test_a_mistake_ends_the_run_in_one_line(mlp_project: pytest.Pytester, mark: str, option: str, words: str) -> None:
    mlp_project.makepyfile(test_it=f"import pytest\n\n@pytest.mark.{mark}\ndef test_it(cpu_model): pass")
    result = mlp_project.runpytest_subprocess("-n2", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    (line,) = (line for line in result.errlines if line)
    pytest.LineMatcher([line]).fnmatch_lines([f"ERROR: cpuaccel: {words}"])


def test_workers_export_a_model_once(mlp_project: pytest.Pytester, builds: Any) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parametrize("number", range(6))
        def test_it(cpu_model, number):
            cpu_model(torch.ones(2, 16))
        """
    )
    mlp_project.runpytest_subprocess("-n2", "--cpu-backends=stored").assert_outcomes(passed=6)
    assert len(builds("export")) == 1


SPAWN = multiprocessing.get_context("spawn")  # SQLite, of which the lock is made, does not survive a fork


def hold(path: Path, log: Path, name: str, how: str, started: Any, go: Any) -> None:
    lock = MachineLock(path)
    with getattr(lock, how)():
        with log.open("a") as file:
            file.write(f"{name} in\n")
        started.set()
        go.wait()
        with log.open("a") as file:
            file.write(f"{name} out\n")


class Holder:
    """Another process that holds the lock until told to let go."""

    def __init__(self, folder: Path, name: str, how: str) -> None:
        self.started, self._go = SPAWN.Event(), SPAWN.Event()
        self._process = SPAWN.Process(
            target=hold, args=(folder / "lock", folder / "log", name, how, self.started, self._go)
        )
        self._process.start()

    def let_go(self) -> None:
        self._go.set()

    def join(self) -> None:
        self._process.join()
        assert self._process.exitcode == 0

    def kill(self) -> None:
        assert self._process.pid
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


def log_of(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


def test_readers_share_and_a_clock_waits_for_them_and_runs_alone(tmp_path: Path) -> None:
    readers = [Holder(tmp_path, name, "shared") for name in ("a", "b")]
    for reader in readers:
        reader.started.wait()  # both are in at once
    clock = Holder(tmp_path, "clock", "alone")
    time.sleep(0.2)
    assert not clock.started.is_set()
    for reader in readers:
        reader.let_go()
    clock.started.wait()
    late = Holder(tmp_path, "late", "shared")
    time.sleep(0.2)
    assert not late.started.is_set()
    clock.let_go()
    late.started.wait()
    late.let_go()
    for holder in (*readers, clock, late):
        holder.join()
    assert log_of(tmp_path)[4:] == ["clock in", "clock out", "late in", "late out"]


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_a_process_that_died_holds_nothing(tmp_path: Path, how: str) -> None:
    died = Holder(tmp_path, "died", how)
    died.started.wait()
    died.kill()
    with MachineLock(tmp_path / "lock").alone():
        pass


def test_a_clock_gives_its_own_share_back_for_the_time(tmp_path: Path) -> None:
    lock = MachineLock(tmp_path / "lock")
    with lock.shared():
        with lock.alone():
            pass
        other = Holder(tmp_path, "other", "shared")
        other.started.wait()
        clock = Holder(tmp_path, "clock", "alone")
        other.let_go()
        other.join()
        time.sleep(0.2)
        assert not clock.started.is_set()
    clock.started.wait()
    clock.let_go()
    clock.join()
