"""A session gives the process back as it found it, and every test of it does."""

from __future__ import annotations

import pytest

CONFTEST = """
import logging, os, random, sys, tempfile
from dataclasses import replace
import numpy as np, pytest, torch
from tests import doubles, models, process

torch.set_num_threads(2)
logging.getLogger("nncf").setLevel(logging.ERROR)
FOUND, MODEL = [], models.mlp()
USERS = dict.fromkeys(["test_draws", "test_draws_of_scores", "session"], process.GENERATORS)

def look(before, where):
    FOUND.extend(f"{where}: {name}" for name in process.changes(before, but=USERS.get(where, ())))

def meddle(subject, folder):
    built = doubles.TWIN.load(subject, folder)
    process.drawn()
    torch.set_num_threads(3), torch.set_default_dtype(torch.float64), torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False), torch.set_float32_matmul_precision("medium")
    if hasattr(torch.backends.mkldnn, "conv"):
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
    torch.backends.mha.set_fastpath_enabled(False)
    torch._inductor.config.freezing = True
    os.environ["MEDDLED"] = "1"; os.chdir("/"); os.umask(0o077)
    tempfile.tempdir = "/"
    logging.root.setLevel(1); logging.root.addHandler(logging.NullHandler())
    logging.getLogger("transformers").setLevel(1)
    sys.setrecursionlimit(5000)
    return built

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [*doubles.BACKENDS, replace(doubles.TWIN, name="meddling", load=meddle)]

def pytest_sessionstart(session):
    session.before = process.state()

def pytest_sessionfinish(session):
    look(session.before, "session")

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    before = process.state()
    try:
        return (yield)
    finally:
        look(before, item.originalname)

def pytest_unconfigure(config):
    print("FOUND", sorted(set(FOUND)))

@pytest.fixture(scope="session")
def eager_model():
    return MODEL

@pytest.fixture
def broken(cpu_model):
    cpu_model(torch.ones(5, 16))
    raise OSError("no disk")
"""
TESTS = """
import pytest, torch
from tests import process

X = torch.ones(2, 16)

@pytest.mark.parity
@pytest.mark.latency_budget(p50="10 s", speedup=0.001)
def test_latency(cpu_model):
    cpu_model(X)

def test_draws(cpu_model):
    process.seed()
    expected = process.drawn()
    process.seed()
    cpu_model(torch.ones(7, 16))
    assert process.drawn() == expected

def test_draws_of_scores(score_items):
    process.seed()
    expected = [process.drawn() for _ in range(3)]
    process.seed()
    scores = score_items(lambda model, item: float(model(item).sum() * 0 + process.drawn()[0]), [X, X])
    assert scores == pytest.approx([first for first, *_ in expected[:2]])
    assert process.drawn() == expected[2]

@pytest.mark.accuracy_budget(max_drop="99%", of="these")
def test_score(score_items):
    score_items(lambda model, item: float(model(item)[0, 0] > 0), [X])

@pytest.mark.parity(atol=0, rtol=0)
def test_equal_to_the_last_bit(cpu_model):
    cpu_model(torch.ones(3, 16))

def test_threads_of_its_own(cpu_model):
    assert torch.get_num_threads() == 1
    torch.set_num_threads(4)
    cpu_model(torch.ones(4, 16))
    assert torch.get_num_threads() == 4
    torch.set_num_threads(1)

def test_fails(cpu_model):
    cpu_model(X)
    assert False

def test_in_a_broken_fixture(broken): pass
"""
REAL = "eager,torchscript,ort,bf16,torch-int8,torchao-int8,openvino-int8"


@pytest.fixture
def watched(project: pytest.Pytester) -> pytest.Pytester:
    project.makeconftest(CONFTEST)
    return project


@pytest.mark.parametrize("backends", [REAL, "meddling"])
def test_a_test_and_a_session_leave_the_process_as_it_was(watched: pytest.Pytester, backends: str) -> None:
    watched.makepyfile(test_it=TESTS)
    result = watched.runpytest_subprocess(f"--cpu-backends={backends}", "--cpu-missing=skip")
    count = result.parseoutcomes()["errors"]  # one for each backend
    ours = result.parseoutcomes()
    assert ours["passed"] + ours["failed"] == 7 * count
    assert ours["passed"] >= 5 * count
    result.stdout.fnmatch_lines(["*FOUND []"])


def test_an_interrupted_session_leaves_the_process_as_it_was(watched: pytest.Pytester) -> None:
    watched.makepyfile(
        test_it="""
        import torch

        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
            raise KeyboardInterrupt
        """
    )
    result = watched.runpytest_subprocess("--cpu-backends=meddling")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*FOUND []"])


def test_a_timed_and_judged_generate_draws_for_nobody_else(watched: pytest.Pytester) -> None:
    pytest.importorskip("transformers")
    watched.makepyfile(
        test_it="""
        import pytest, torch
        from tests import models, process

        @pytest.fixture
        def drawn_later():
            process.seed()
            expected = process.drawn()
            process.seed()
            yield
            assert process.drawn() == expected

        @pytest.mark.parity
        @pytest.mark.latency_budget(ttft="100 s")
        def test_draws(drawn_later, cpu_accelerate):
            torch.manual_seed(5)
            cpu_accelerate(models.gpt2()).generate(**models.tokens(1, 3, 0), max_new_tokens=3, do_sample=True)
            process.seed()
        """
    )
    watched.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
