"""The options of ``cpuaccel gate``: a mistake is one line that says what would do; limits reach their budgets."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from pytest_cpuaccel.backends.registry import register
from pytest_cpuaccel.cli.gate import _LIMITS
from pytest_cpuaccel.cli.main import main
from pytest_cpuaccel.core.budget import Budgets, LatencyBudget, MemoryBudget, StartupBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.gate.budgets import LIMITS, limits_of, parity_of

NONE = parity_of("", "", None)


def budgets(backend: str = "ort", vs: str = "eager", **texts: str) -> Budgets:
    return limits_of(texts, NONE, register([]), vs).budgets(backend)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--cpu-backends=NAMES is needed, such as ort,openvino or all; installed here:"),
        (["--cpu-backends=opnvino"], "--cpu-backends: no backend named 'opnvino'; did you mean 'openvino'?"),
        (["--cpu-backends=eager,,ort"], "--cpu-backends: 'eager,,ort' has an empty name"),
        (["--cpu-backends=eager", "--cpu-threads=0"], "--cpu-threads: '0' is not a number of threads"),
        (["--cpu-backends=eager", "--cpu-report=a.txt"], "--cpu-report: 'a.txt' ends in none of .json, .md, .html"),
        (["--cpu-backends=eager", "--cpu-wait=5"], "--cpu-wait: '5' has no unit"),
        (["--cpu-backends=eager", "--cpu-inconclusive=never"], "--cpu-inconclusive: 'never' is not one of warn, fail"),
        (["--cpu-backends=eager", "--p50=30"], "--p50: '30' has no unit"),
        (["--cpu-backends=eager", "--peak=some"], "--peak: 'some' is not a quantity"),
        (["--cpu-backends=eager", "--speedup=otr:1.3"], "--speedup: no backend named 'otr'; did you mean 'ort'?"),
        (["--cpu-backends=eager", "--speedup=ort:1.3,1"], "--speedup: '1' names no backend"),
        (["--cpu-backends=eager", "--p50=ort:1 us"], "--p50: 'ort' is not among the backends that run; --cpu-backends"),
        (["--cpu-backends=eager", "--p50=openv*:1 us"], "--p50: 'openv*' is not among the backends that run"),
        (["--cpu-backends=eager", "--p50=eager:1 us,eager:2 us"], "--p50: 'eager' is given twice; keep one"),
        (["--cpu-backends=eager", "--parity=rtol=1,rtol=2"], "--parity: rtol is given twice; keep one"),
        (["--cpu-backends=eager", "--speedup=1.3x"], "--speedup: '1.3x' is not a number; write 1.3\n"),
        (["--cpu-backends=eager", "--peak=800"], "--peak: '800' has no unit; write \"800 MB\""),
        (["--cpu-backends=eager", "--cold-start=4"], "--cold-start: '4' has no unit; write \"4 s\""),
        (["--cpu-backends=eager", "--cpu-wait=1"], "--cpu-wait: '1' has no unit; write \"600 s\""),
        (["--cpu-backends=eager", "--cpu-tolerances=write"], "--cpu-tolerances: 'write' is for pytest, whose tests"),
        (["--cpu-backends=eager", "--cpu-tolerances=a.txt"], "--cpu-tolerances: 'a.txt' is none of write, write:FILE"),
        (["--cpu-backends=eager", "--cpu-tolerances=a.toml"], "--cpu-tolerances: there is no file '"),
        (["--cpu-backends=nope"], "--cpu-backends: no backend named 'nope'; there are: eager"),
        (["--cpu-backends=eager", "--parity=rtl=1"], "--parity: no tolerance named 'rtl'; did you mean 'rtol'?"),
        (["--cpu-backends=eager", "--parity=rtol"], "--parity: rtol has no value; write --parity=rtol=1e-3,atol=1e-5"),
        (["--cpu-backends=eager", "--vs=egaer"], "--vs: no backend named 'egaer'; did you mean 'eager'?"),
        (["--cpu-backends=eager", "--speedup=2", "--max-slowdown=5%"], "--speedup and --max-slowdown set the same"),
    ],
)
def test_a_mistake_is_one_line_and_exits_with_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--cpu-backends=eager" in arguments:
        pytest.importorskip("torch")
    assert main(["gate", "some-model", *arguments]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"cpuaccel gate: {line}")
    assert told.err.count("\n") == 1
    assert not told.out


def test_without_limits_all_is_measured_but_a_build() -> None:
    found = budgets()
    assert found.parity is not None
    assert found.latency == LatencyBudget()
    assert found.startup == StartupBudget(cold_start_ns=inf)
    assert found.memory == MemoryBudget(inf, inf)


def test_each_limit_reaches_its_budget() -> None:
    found = budgets(p50="30 ms", p99="1 s", max_slowdown="5%", cold_start="4 s", build="60 s", peak="800 MB")
    assert found.latency == LatencyBudget(p50_ns=30_000_000, p99_ns=1_000_000_000, max_slowdown=0.05)
    assert found.startup == StartupBudget(4_000_000_000, 60_000_000_000)
    assert found.memory == MemoryBudget(800_000_000, inf)


def test_every_limit_of_the_marks_is_an_option() -> None:
    assert _LIMITS.keys() == LIMITS.keys()


def test_a_limit_may_be_given_by_backend() -> None:
    assert (budgets("ort", speedup="ort:1.3,*:1.1").latency or LatencyBudget()).speedup == 1.3
    assert (budgets("openvino", speedup="ort:1.3,*:1.1").latency or LatencyBudget()).speedup == 1.1
    assert budgets("openvino", speedup="ort:1.3").latency == LatencyBudget()


def test_a_backend_is_held_to_no_speedup_over_itself() -> None:
    assert budgets("eager", speedup="1.3").latency == LatencyBudget()
    assert (budgets("ort", speedup="1.3").latency or LatencyBudget()).speedup == 1.3


def test_limits_that_contradict_each_other_name_the_backend() -> None:
    with pytest.raises(UsageError, match=r"limits of ort: p50= allows 30.0 ms and p90= only 20.0 ms"):
        budgets(p50="30 ms", p90="20 ms")


def test_tolerances_are_those_of_the_mark() -> None:
    found = parity_of("rtol=1e-3, atol=1e-5,sqnr-db=30", "logits,hidden*", "mask")
    assert found.tolerance == Tolerance(rtol=1e-3, atol=1e-5, sqnr_db=30.0)
    assert (found.only, found.mask) == (("logits", "hidden*"), "mask")


def test_a_report_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "file").touch()
    assert main(["gate", "some-model", "--cpu-backends=eager", f"--cpu-report={tmp_path}/file/run.md"]) == 2
    assert "--cpu-report: can't write" in capsys.readouterr().err
