"""What a backend that can't run a model does: ``--cpu-unsupported``."""

from __future__ import annotations

import pytest

SKIP = "--cpu-unsupported=skip"
NO_KERNEL = "refusing: NotImplementedError: no kernel for aten::gelu"

CONFTEST = """
import errno, subprocess, pytest, torch
from dataclasses import replace
from pytest_cpuaccel import BackendUnavailableError, BuildError, BuildFailureError, BuiltModel, NothingToDoError
from tests import doubles, models

RAISED = {
    "choosy": BuildError("takes no such model"),
    "idle": NothingToDoError("nothing to do"),
    "unlucky": BuildFailureError("the build went wrong"),
    "full-disk": OSError(errno.ENOSPC, "No space left on device"),
    "out-of-memory": MemoryError(),
    "native-memory": RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
    "late": subprocess.TimeoutExpired("a compiler", 60),
    "unpacked": BackendUnavailableError("needs a package"),
    "unimported": ModuleNotFoundError("No module named 'package'"),
}

def _raising(error):
    def load(subject, folder):
        raise error
    return load

def _square(subject, folder, off=0):
    if len(subject.inputs.args[0]) > 2:
        raise BuildError("takes no more than two rows")
    module = subject.fresh_module()
    return BuiltModel(
        lambda x: module(x) + off, accepts=lambda inputs: len(inputs.args[0]) <= 2, threads=torch.get_num_threads()
    )

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [
        *doubles.BACKENDS,
        *(replace(doubles.TWIN, name=name, load=_raising(error)) for name, error in RAISED.items()),
        replace(doubles.TWIN, name="small", load=_square),
        replace(doubles.TWIN, name="small-and-off", load=lambda subject, folder: _square(subject, folder, 1)),
    ]

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return models.mlp()
"""

TEST = """
import pytest, torch

@pytest.mark.parity
def test_call(cpu_model):
    cpu_model(torch.ones(2, 16))
"""


@pytest.fixture
def refused(project: pytest.Pytester) -> pytest.Pytester:
    """A project with backends that refuse models, each for a reason of its own."""
    project.makeconftest(CONFTEST)
    return project


def test_a_refusal_fails_unless_told_otherwise(refused: pytest.Pytester) -> None:
    refused.makepyfile(TEST)
    result = refused.runpytest_inprocess("--cpu-backends=twin,refusing")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"test_*.py:5: {NO_KERNEL}"])


@pytest.mark.parametrize("setting", ["option", "file"])
def test_a_refusal_skips_its_test_at_the_line_that_was_refused(refused: pytest.Pytester, setting: str) -> None:
    refused.makepyfile(test_it=TEST)
    if setting == "file":
        refused.makeini("[pytest]\ncpu_unsupported = skip")
    result = refused.runpytest_inprocess(
        "-rs", "--cpu-backends=twin,refusing,choosy,idle,raising", *([SKIP] if setting == "option" else ())
    )
    result.assert_outcomes(passed=1, skipped=4)
    result.stdout.fnmatch_lines_random(
        [
            f"SKIPPED [[]1] test_it.py:5: unsupported: {NO_KERNEL}",
            "SKIPPED [[]1] test_it.py:5: unsupported: choosy: takes no such model",
            "SKIPPED [[]1] test_it.py:5: unsupported: idle: nothing to do",
            "SKIPPED [[]1] test_it.py:5: unsupported: raising: raises where eager does not: RuntimeError: *",
        ]
    )


@pytest.mark.parametrize(
    "backend", ["unlucky", "full-disk", "out-of-memory", "native-memory", "late", "unpacked", "unimported", "off"]
)
def test_what_does_not_lie_in_the_model_fails_all_the_same(refused: pytest.Pytester, backend: str) -> None:
    refused.makepyfile(TEST)
    refused.runpytest_inprocess(f"--cpu-backends={backend}", SKIP).assert_outcomes(failed=1)


def test_errors_of_the_user_fail_all_the_same(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import pytest, torch
        from pytest_cpuaccel import BuildError

        X = torch.ones(2, 16)

        def test_wrong_input(cpu_model):
            cpu_model(torch.ones(2, 3))

        def test_after_the_refusal(cpu_model):
            with pytest.raises(BuildError):
                cpu_model(X)
            assert False

        def test_wrapped(cpu_model):
            try:
                cpu_model(X)
            except BuildError as error:
                raise ValueError from error

        def test_training(cpu_accelerate):
            cpu_accelerate(torch.nn.Linear(16, 4).train())(X)
        """
    )
    refused.runpytest_inprocess("--cpu-backends=refusing", SKIP).assert_outcomes(failed=4)


def test_a_test_may_expect_a_refusal(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import pytest, torch
        from pytest_cpuaccel import BuildError

        def test_refused(cpu_model):
            with pytest.raises(BuildError, match="no kernel"):
                cpu_model(torch.ones(2, 16))
        """
    )
    refused.runpytest_inprocess("--cpu-backends=refusing", SKIP).assert_outcomes(passed=1)


KINDS = """
import unittest
import pytest, torch

X = torch.ones(2, 16)

@pytest.fixture
def answer(cpu_model):
    return cpu_model(X)

def test_of_a_fixture(answer):
    pass

def test_of_a_name(request):
    request.getfixturevalue("answer")

@pytest.mark.xfail(strict=True)
def test_expected_to_fail(cpu_model):
    cpu_model(X)

def test_scored(score_items):
    score_items(lambda model, item: float(model(item).sum()), [X])

class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _model(self, cpu_model):
        self.model = cpu_model

    def test_method(self):
        self.model(X)

    @unittest.expectedFailure
    def test_expected_to_fail(self):
        self.model(X)

class TestSetUp(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _model(self, cpu_model):
        self.model = cpu_model

    def setUp(self):
        self.model(X)

    def test_method(self):
        pass
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_every_kind_and_phase_of_a_test_is_skipped(refused: pytest.Pytester, workers: tuple[str, ...]) -> None:
    refused.makepyfile(test_kinds=KINDS)
    run = refused.runpytest_subprocess if workers else refused.runpytest_inprocess
    result = run("-rs", "--cpu-backends=refus*", SKIP, *workers)
    result.assert_outcomes(skipped=7)
    assert result.ret == pytest.ExitCode.OK
    skipped = [line for line in result.outlines if line.startswith("SKIPPED")]
    assert all("test_kinds.py:" in line and line.endswith(f": unsupported: {NO_KERNEL}") for line in skipped), skipped


@pytest.mark.parametrize("option", [(), ("--doctest-continue-on-failure",)], ids=["first", "all"])
def test_a_doctest_is_skipped(refused: pytest.Pytester, option: tuple[str, ...]) -> None:
    refused.maketxtfile(
        test_page="""
        >>> import torch
        >>> model = getfixture("cpu_model")
        >>> answer = model(torch.ones(2, 16))
        >>> answer.shape
        torch.Size([2, 4])
        """
    )
    result = refused.runpytest_inprocess("-rs", "--cpu-backends=refus*", SKIP, *option)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED [[]1] test_page.txt:*: unsupported: {NO_KERNEL}"])


def test_subtests_are_skipped_one_by_one(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        def test_sizes(cpu_model, subtests):
            for size in (1, 2, 3):
                with subtests.test(size=size):
                    cpu_model(torch.ones(size, 16))
        """
    )
    result = refused.runpytest_subprocess("--cpu-backends=small", SKIP)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["skipped"]) == (1, 1)
    wrong = refused.runpytest_subprocess("--cpu-backends=small-and-off", SKIP)
    assert wrong.parseoutcomes()["failed"] == 1


THEN_REFUSED = """
import unittest
import pytest, torch

def call_twice(model):
    model(torch.ones(2, 16))
    model(torch.ones(3, 16))

@pytest.fixture
def called(cpu_model):
    call_twice(cpu_model)

@pytest.mark.parity
def test_body(cpu_model):
    call_twice(cpu_model)

@pytest.mark.parity
def test_fixture(called):
    pass

@pytest.mark.parity
class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _model(self, cpu_model):
        self.model = cpu_model

    def test_method(self):
        call_twice(self.model)

@pytest.mark.parity
@pytest.mark.accuracy_budget(max_drop="5%")
def test_scores(score_items):
    score_items(lambda model, item: float(model(item).sum()), [torch.ones(2, 16), torch.ones(3, 16)])
"""


def test_a_skip_hides_no_wrong_answer_that_came_before_it(refused: pytest.Pytester) -> None:
    refused.makepyfile(THEN_REFUSED)
    refused.runpytest_inprocess("--cpu-backends=small", SKIP).assert_outcomes(skipped=4)
    result = refused.runpytest_inprocess("--cpu-backends=small-and-off", SKIP)
    assert "skipped" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["small-and-off: forward 2x16: 'output' is off by a relative RMSE of *"])


def test_an_opponent_that_refuses_the_model_is_the_marks_fault(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import pytest, torch

        @pytest.mark.latency_budget(speedup=1.1, vs="refusing")
        def test_call(cpu_model):
            cpu_model(torch.ones(2, 16))
        """
    )
    result = refused.runpytest_inprocess("--cpu-backends=twin", SKIP)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{NO_KERNEL} (latency_budget names it in vs=)*"])
