"""What a backend that can't run a model does: ``--cpu-unsupported``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import doubles

SKIP = "--cpu-unsupported=skip"
KERNEL_LINE = next(
    number
    for number, line in enumerate(Path(doubles.__file__).read_text().splitlines(), 1)
    if "no kernel for aten::gelu" in line
)
NO_KERNEL = f"refusing: NotImplementedError: no kernel for aten::gelu (at doubles.py:{KERNEL_LINE})"

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
    result.stdout.fnmatch_lines([NO_KERNEL, "  at test_*.py:5"])


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


AUTHORS = """
import functools, pytest, torch
from dataclasses import replace
from pytest_cpuaccel import BuiltModel
from tests import doubles, models

@pytest.fixture(scope="session")
def eager_model():
    torch.manual_seed(0)
    return models.mlp()

def _built(forward):
    return BuiltModel(forward, threads=torch.get_num_threads())

def _typo(subject, folder):
    return _built(subject.fresh_modul())

@torch.no_grad()
def _assertion(subject, folder):
    assert subject.inputs.kwargs, "no keywords"

def _table(subject, folder, kernels=()):
    return _built({}[type(subject.fresh_module())])

def _export_typo(subject, folder):
    subject.weights()

def _forward_typo(subject, folder):
    return _built(lambda x: x.no_such_method())

def _in_a_library(subject, folder):
    torch.nn.Linear(4, 4)("text")

def _on_purpose(subject, folder):
    raise ValueError("takes no Mlp")

def pytest_cpuaccel_backends(config):
    loads = {
        "typo": _typo, "assertion": _assertion, "table": functools.partial(_table, kernels=()), "none": lambda *_: None,
        "module": lambda subject, folder: subject.fresh_module(), "forward": _forward_typo, "library": _in_a_library,
        "purpose": _on_purpose,
    }
    named = [replace(doubles.TWIN, name=name, load=load) for name, load in loads.items()]
    return [*named, replace(doubles.STORED, name="export", export=_export_typo)]
"""


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("typo", "typo: AttributeError: 'Subject' object has no attribute 'fresh_modul'* (at conftest.py:*)"),
        ("assertion", "assertion: AssertionError: no keywords* (at conftest.py:*)"),
        ("table", "table: KeyError: * (at conftest.py:*)"),
        ("none", "none: load returned None; return a BuiltModel"),
        ("module", "module: load returned an object of type Mlp; return a BuiltModel"),
        ("export", "export: AttributeError: 'Subject' object has no attribute 'weights' (at conftest.py:*)"),
        ("forward", "forward: raises where eager does not: AttributeError: * has no attribute 'no_such_method'"),
    ],
)
def test_a_slip_of_the_backends_author_fails(refused: pytest.Pytester, backend: str, said: str) -> None:
    refused.makeconftest(AUTHORS)
    refused.makepyfile(TEST)
    result = refused.runpytest_inprocess(f"--cpu-backends={backend}", SKIP)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])


@pytest.mark.parametrize("backend", ["library", "purpose"])
def test_what_a_library_raises_or_the_author_raises_on_purpose_is_a_refusal(
    refused: pytest.Pytester, backend: str
) -> None:
    refused.makeconftest(AUTHORS)
    refused.makepyfile(TEST)
    refused.runpytest_inprocess(f"--cpu-backends={backend}*", SKIP).assert_outcomes(skipped=1)


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


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "two_workers"])
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


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="this pytest has no subtests")
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
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["note: *::test_sizes[[]small[]]: a subtest was skipped, unsupported: small: takes no more than two rows"]
    )
    wrong = refused.runpytest_subprocess("--cpu-backends=small-and-off", SKIP)
    assert wrong.parseoutcomes()["failed"] == 1


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="this pytest has no subtests")
def test_a_test_whose_subtests_are_all_refused_is_skipped(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        def test_sizes(cpu_model, subtests):
            for size in (2, 3):
                with subtests.test(size=size):
                    cpu_model(torch.ones(size, 16))
        """
    )
    result = refused.runpytest_subprocess("-rs", "--cpu-backends=refus*", SKIP)
    assert result.ret == pytest.ExitCode.OK
    assert "passed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["cpuaccel: 1 refused and skipped"])
    failed = refused.runpytest_subprocess("--cpu-backends=unlucky", SKIP)
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    failed.stdout.fnmatch_lines(
        ["unlucky: 2 calls raised and none returned, so there is nothing to judge: the build went wrong"]
    )


def test_a_test_case_that_catches_every_refusal_is_skipped(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import unittest, pytest, torch

        @pytest.mark.parity
        class TestSizes(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _model(self, cpu_model):
                self.model = cpu_model

            def test_caught(self):
                for size in (2, 3):
                    with self.assertRaises(Exception):
                        self.model(torch.ones(size, 16))
        """
    )
    result = refused.runpytest_subprocess("-rs", "--cpu-backends=refus*", SKIP)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=1)


def unmet(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("cpuaccel: the run fails: ")]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (["--cpu-backends=refusing"], ["refusing"]),
        (["--cpu-backends=idle,refusing,twin"], ["idle", "refusing"]),
        (["--cpu-backends=twin,idl*,refusing"], ["refusing"]),
        (["--cpu-backends=small"], []),
        (["--cpu-backends=refus*"], []),
        (["--cpu-backends=refusing", "-k", "nothing_of_it"], []),
        (["--cpu-backends=refusing,absent", "--cpu-missing=skip"], ["refusing"]),
        (["--cpu-backends=small", "-k", "large"], ["small"]),
        (["--cpu-backends=small", "-k", "large", "--no-summary"], ["small"]),
        (["--cpu-backends=small", "-k", "large", "-qq"], ["small"]),
    ],
    ids=" ".join,
)
def test_a_backend_that_is_named_and_runs_no_test_fails_the_run(
    refused: pytest.Pytester, chosen: list[str], names: list[str]
) -> None:
    refused.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        def test_small(cpu_model):
            cpu_model(torch.ones(2, 16))

        @pytest.mark.parity
        def test_large(cpu_model):
            cpu_model(torch.ones(3, 16))

        @pytest.mark.parity
        @pytest.mark.skip
        def test_skipped(cpu_model):
            cpu_model(torch.ones(2, 16))

        def test_nothing_of_it():
            pass
        """
    )
    result = refused.runpytest_inprocess(*chosen, SKIP)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if names else pytest.ExitCode.OK)
    assert [line.split()[4] for line in unmet(result)] == names


@pytest.mark.parametrize(
    ("body", "ran"),
    [
        ("assert cpu_backend.name", False),
        ("pytest.skip('not today')", False),
        ("pytest.xfail('not yet')", False),
        ("pytest.raises(BuildError, cpu_model, torch.ones(3, 16))", False),
        ("cpu_model(torch.ones(2, 16))", True),
        ("cpu_model(torch.ones(2, 16)); pytest.xfail('not yet')", True),
    ],
)
def test_only_a_test_that_ran_a_model_speaks_for_a_backend(refused: pytest.Pytester, body: str, ran: bool) -> None:
    refused.makepyfile(
        f"""
        import pytest, torch
        from pytest_cpuaccel import BuildError

        @pytest.mark.parity
        def test_large(cpu_model):
            cpu_model(torch.ones(3, 16))

        def test_other(cpu_model, cpu_backend):
            {body}
        """
    )
    result = refused.runpytest_inprocess("--cpu-backends=small", "--cpu-report=page.md", SKIP)
    assert bool(unmet(result)) is not ran
    assert result.ret == (pytest.ExitCode.OK if ran else pytest.ExitCode.TESTS_FAILED)
    page = (refused.path / "page.md").read_text()
    assert page.startswith("## CPU backends: no failure" if ran else "## CPU backends: the run failed")
    assert ("small refused the only test" in page) is not ran


def test_a_name_in_the_file_asks_for_less(refused: pytest.Pytester) -> None:
    refused.makeini("[pytest]\ncpu_unsupported = skip\ncpu_backends = refusing")
    refused.makepyfile(TEST)
    assert refused.runpytest_inprocess().ret == pytest.ExitCode.OK
    refused.makeini("[pytest]\ncpu_unsupported = skip\naddopts = --cpu-backends=refusing")
    assert refused.runpytest_inprocess().ret == pytest.ExitCode.TESTS_FAILED


def test_xdists_controller_knows_what_its_workers_ran(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import torch

        def test_small(cpu_model):
            cpu_model(torch.ones(2, 16))

        def test_large(cpu_model):
            cpu_model(torch.ones(3, 16))
        """
    )
    result = refused.runpytest_subprocess("--cpu-backends=small", SKIP, "-n1")
    assert result.ret == pytest.ExitCode.OK


def test_xdists_controller_fails_the_run_too(refused: pytest.Pytester) -> None:
    refused.makepyfile(TEST)
    result = refused.runpytest_subprocess("--cpu-backends=refusing", SKIP, "-n2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert unmet(result) == [
        "cpuaccel: the run fails: refusing refused the only test that called a model: "
        f"{NO_KERNEL.removeprefix('refusing: ')} (named by --cpu-backends)"
    ]


def test_the_closing_lines_say_how_many_were_refused_and_why(refused: pytest.Pytester) -> None:
    refused.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        @pytest.mark.parametrize("rows", [1, 2, 3])
        def test_rows(cpu_model, rows):
            cpu_model(torch.ones(rows, 16))
        """
    )
    result = refused.runpytest_inprocess("--cpu-backends=twin,refus*,small", SKIP)
    result.stdout.fnmatch_lines(
        [
            f"refused refusing (3 tests): {NO_KERNEL.removeprefix('refusing: ')}",
            "refused small (1 test): takes no more than two rows",
            "cpuaccel: 5 PASS, 4 refused and skipped",
        ]
    )


REAL = """
import pytest, torch
from torch import nn
from transformers import BertConfig, BertModel

@pytest.fixture
def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 4), nn.ReLU()).eval()

@pytest.fixture
def bert():
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    return BertModel(BertConfig(vocab_size=20, max_position_embeddings=16, **sizes)).eval()

@pytest.mark.parity
def test_plain(cpu_accelerate, plain):
    cpu_accelerate(plain)(torch.randn(2, 8))

@pytest.mark.parity
def test_relu(cpu_accelerate):
    cpu_accelerate(nn.ReLU().eval())(torch.randn(2, 8))

@pytest.mark.parity
def test_bert(cpu_accelerate, bert):
    cpu_accelerate(bert)(input_ids=torch.arange(12).reshape(2, 6))
"""


def test_real_backends_with_nothing_to_do_leave_the_run_green(refused: pytest.Pytester) -> None:
    pytest.importorskip("transformers")
    refused.makepyfile(REAL)
    chosen = "eager,sdpa,fastpath,channels-last,bf16,autocast-bf16,torchscript,torch-int8"
    result = refused.runpytest_inprocess("-rs", f"--cpu-backends={chosen.replace(',', '*,')}*", SKIP)
    assert result.ret == pytest.ExitCode.OK
    skipped = {(row.split()[1], row.split("(")[1].split()[0]) for row in result.outlines if row.startswith("refused ")}
    assert skipped >= {("sdpa", "1"), ("fastpath", "1"), ("channels-last", "1"), ("torch-int8", "1")}
    assert result.parseoutcomes()["passed"] >= 15


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
