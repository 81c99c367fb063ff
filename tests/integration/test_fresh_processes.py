"""Cold start, build, memory and artifact size: measured where nothing but the model runs."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_cpuaccel.core.backend import Backend, Subject
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.isolated.bundle import Bundle, pack
from pytest_cpuaccel.isolated.process import run
from pytest_cpuaccel.isolated.report import Report
from tests import doubles, fresh_models, models
from tests.integration.test_interrupt import hear_interrupts, wait_for
from tests.integration.test_selection import refusal

CONFTEST = """
import pytest
from tests import doubles, fresh_models

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [*doubles.BACKENDS, fresh_models.HOG, fresh_models.DYING, fresh_models.SLEEPING]
"""
MODEL = """
import pytest, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 32)

    def forward(self, x):
        return self.layer(x)

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return Net().eval()
"""
TEST = """
import pytest, torch

@pytest.mark.{mark}
def test_it(cpu_model):
    cpu_model(torch.ones(2, 64))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def reported(
    backend: Backend, model: nn.Module, inputs: torch.Tensor, folder: Path, task: str = "start", timeout_s: float = 300
) -> Report:
    folder.mkdir()
    call = Call("forward", Inputs((inputs,)), None)
    subject = Subject(lambda: model, call.inputs, model(inputs), threads=1)
    pack(Bundle(backend, subject, None, call), model, folder)
    return run(folder, task, threads=1, timeout_s=timeout_s)


def results(project: pytest.Pytester) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((project.path / "r.json").read_text())["results"]
    return found


@pytest.fixture
def net_project(project: pytest.Pytester) -> pytest.Pytester:
    """A project whose model is of a class that stands in its own conftest."""
    project.makeconftest(CONFTEST + MODEL)
    return project


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("latency_budget(cold_start='2')", "@latency_budget(cold_start=): '2' has no unit; write \"4 s\" *"),
        ("latency_budget(build=60)", '@latency_budget(build=): 60 is not a text with a unit; write "60 s"'),
        ("memory_budget()", '@memory_budget allows nothing yet; write peak="800 MB" or artifact="100 MB"'),
        ("memory_budget(peak='800')", "@memory_budget(peak=): '800' has no unit; write \"800 MB\" *"),
        ("memory_budget(artifact='0 MB')", "@memory_budget(artifact=): '0 MB' is zero; *"),
        ("memory_budget(peek='1 GB')", "@memory_budget takes no 'peek'; did you mean 'peak'?"),
    ],
)
def test_a_mark_without_meaning_ends_the_run_before_any_test(
    net_project: pytest.Pytester, mark: str, words: str
) -> None:
    net_project.makepyfile(test_it=TEST.format(mark=mark))
    line = refusal(net_project, "--cpu-backends=twin")
    pytest.LineMatcher([line]).fnmatch_lines([f"ERROR: cpuaccel: test_it.py::test_it[[]twin[]]: {words}"])


def test_weights_count_as_far_as_the_backend_reads_them(tmp_path: Path) -> None:
    peaks = []
    for read in (4, fresh_models.HELD_BYTES):
        report = reported(doubles.TWIN, fresh_models.Holder(read), torch.ones(1), tmp_path / str(read))
        assert [stage.name for stage in report.stages] == ["imports", "load", "first call"]
        memory = report.stages[-1].memory
        assert memory is not None
        peaks.append(memory.peak_bytes)
    unread, all_read = peaks
    assert all_read - unread > 0.9 * fresh_models.HELD_BYTES


def test_a_process_that_holds_more_is_caught_by_a_budget_between(net_project: pytest.Pytester) -> None:
    net_project.makepyfile(test_it=TEST.format(mark="memory_budget(peak='100 GB')"))
    net_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-report=r.json").assert_outcomes(passed=1)
    plain = results(net_project)[0]["memory"]
    assert plain["after_imports_bytes"] < plain["peak_bytes"] < plain["after_imports_bytes"] + 100e6
    assert plain["above_imports_bytes"] == plain["peak_bytes"] - plain["after_imports_bytes"]
    between = plain["peak_bytes"] + fresh_models.HELD_BYTES // 2
    net_project.makepyfile(test_it=TEST.format(mark=f"memory_budget(peak='{between} B')"))
    result = net_project.runpytest_inprocess("--cpu-backends=hog")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "hog: forward 2x64: peak memory was * MB, budget * MB",
            "  * MB after imports, * MB after load, * MB after first call; of the last, * MB without a file behind it",
            "model *call *backend *peak memory *verdict",
            "Net *forward 2x64 *hog * MB *FAIL memory",
        ]
    )


def test_start_build_and_artifact_are_judged_and_reported(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST)
    marks = ("latency_budget(cold_start='3600 s', build='3600 s')", "memory_budget(artifact='1 KB')")
    project.makepyfile(test_it=MODEL + TEST.format(mark="\n@pytest.mark.".join(marks)))
    result = project.runpytest_inprocess("--cpu-backends=stored", "--cpu-report=r.json", "--junitxml=j.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "stored: forward 2x64: artifact is * KB, budget 1.00 KB",
            "  of the artifact: weights.pt * KB",
            "model *call *backend *cold start *build *artifact *verdict",
        ]
    )
    result.stdout.no_fnmatch_line("*p50*")
    (found,) = results(project)
    start = found["startup"]
    assert start["verdict"] == "PASS"
    assert start["sentence"].startswith("stored: forward 2x64: cold start took ")
    assert start["cold_start_ns"] == sum(start[f"cold_start_{name}_ns"] for name in ("imports", "load", "first_call"))
    assert start["build_ns"] == start["build_export_ns"] + start["build_load_ns"]
    assert start["cold_start_attempts_ns"] == str(start["cold_start_ns"])
    weights = 4 * (64 * 32 + 32)
    assert weights < found["memory"]["artifact_bytes"] < weights + 4000
    assert 'cpuaccel.0.startup.cold_start_ns" value="' in (project.path / "j.xml").read_text()


def test_a_backend_that_keeps_no_artifact_takes_nothing_on_disk(net_project: pytest.Pytester) -> None:
    net_project.makepyfile(test_it=TEST.format(mark="memory_budget(artifact='1 B')"))
    result = net_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-report=r.json")
    result.assert_outcomes(passed=1)
    assert results(net_project)[0]["memory"]["artifact_bytes"] == 0


def test_a_wrong_answer_has_no_memory(net_project: pytest.Pytester) -> None:
    net_project.makepyfile(test_it=TEST.format(mark="parity\n@pytest.mark.memory_budget(peak='100 GB')"))
    net_project.runpytest_inprocess("--cpu-backends=off", "--cpu-report=r.json").assert_outcomes(failed=1)
    (found,) = results(net_project)
    assert found["parity"]["withholds"] == "memory"
    assert "memory" not in found


def test_what_cannot_be_sent_is_refused_as_one_line(net_project: pytest.Pytester) -> None:
    net_project.makepyfile(
        test_it="""
        import pytest, torch
        from torch import nn

        @pytest.mark.memory_budget(peak="1 GB")
        def test_backend(cpu_model):
            cpu_model(torch.ones(2, 64))

        @pytest.mark.latency_budget(cold_start="1 s")
        @pytest.mark.cpu_backends("twin")
        def test_model(cpu_accelerate):
            class Local(nn.Module):
                def forward(self, x):
                    return x * 2

            cpu_accelerate(Local().eval())(torch.ones(2, 64))
        """
    )
    result = net_project.runpytest_inprocess("--cpu-backends=twin,off", "-k", "backend and off or model")
    result.assert_outcomes(failed=2)
    advice = "; define its classes and functions at the top level of a module"
    result.stdout.fnmatch_lines_random(
        [
            f"off: forward 2x64: backend 'off' can't be sent to a fresh process: *_changed.<locals>.load*{advice}",
            f"twin: forward 2x64: Local can't be sent to a fresh process: *<locals>.Local*{advice}",
        ]
    )


def test_a_class_that_only_pytest_can_import_is_refused_as_one_line(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(test_hidden=MODEL + TEST.format(mark="memory_budget(peak='1 GB')"))
    result = project.runpytest_inprocess("--cpu-backends=twin", "--import-mode=importlib")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["twin: forward 2x64: a fresh process can't make the model: ModuleNotFoundError: No module named 'test_hidden'"]
    )


def test_a_process_that_dies_fails_its_test_with_its_last_words(net_project: pytest.Pytester) -> None:
    net_project.makepyfile(test_it=TEST.format(mark="latency_budget(cold_start='1 s')"))
    result = net_project.runpytest_inprocess("--cpu-backends=dying", "--cpu-report=r.json")
    result.assert_outcomes(failed=1)
    (found,) = results(net_project)
    assert found["startup"] == {
        "verdict": "FAIL",
        "sentence": "dying: forward 2x64: a fresh process was killed by SIGABRT: terminate called after throwing an "
        "instance of 'std::bad_alloc'",
    }


def test_a_process_that_does_not_answer_is_ended(tmp_path: Path) -> None:
    model = models.mlp()
    with pytest.raises(BuildError, match=re.escape("a fresh process gave no answer within 0.1 s")):
        reported(doubles.TWIN, model, torch.ones(1, 16), tmp_path / "bundle", timeout_s=0.1)
    assert not processes_with(str(tmp_path))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process_behind(net_project: pytest.Pytester, signum: int) -> None:
    net_project.makepyfile(test_it=TEST.format(mark="memory_budget(peak='1 GB')"))
    command = [sys.executable, "-m", "pytest", "--cpu-backends=sleeping"]
    with subprocess.Popen(
        command, cwd=net_project.path, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    ) as process:
        wait_for(net_project.path / fresh_models.ASLEEP, process)
        process.send_signal(signum)
        process.communicate(timeout=120)
    pid = (net_project.path / fresh_models.ASLEEP).read_text()
    deadline_s = time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    """Tell whether a process is there and no zombie, which whoever adopted it has yet to bury."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_with(word: str) -> list[str]:
    """Return the command lines with this word in them, of processes that run now."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_text())
    return [line for line in lines if word in line]
