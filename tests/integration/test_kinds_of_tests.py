"""Every kind of test that pytest runs is judged, or refused in one line."""

from __future__ import annotations

import json

import pytest

from tests.integration.test_selection import refusal

EXACT = "@pytest.mark.parity(rtol=0, atol=0)"

TEST_CASE = f"""
import unittest

import pytest, torch

X = torch.ones(2, 16)

{EXACT}
class TestModel(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _inject(self, cpu_model):
        self.cpu_model = cpu_model

    BODY
"""
METHODS = {
    "a method": "def test_it(self): self.cpu_model(X)",
    "setUp": "def setUp(self): self.cpu_model(X)\n    def test_it(self): pass",
    "a subtest": "def test_it(self):\n        with self.subTest(batch=2): self.cpu_model(X)",
}
ASYNC = {
    "a coroutine": "async def test_it(self): self.cpu_model(X)",
    "asyncSetUp": "async def asyncSetUp(self): self.cpu_model(X)\n    async def test_it(self): pass",
}


def with_body(body: str, base: str = "TestCase") -> str:
    return TEST_CASE.replace("BODY", body).replace("unittest.TestCase", f"unittest.{base}")


@pytest.mark.parametrize("where", METHODS)
def test_a_method_of_a_test_case_is_judged(mlp_project: pytest.Pytester, where: str) -> None:
    mlp_project.makepyfile(test_it=with_body(METHODS[where]))
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["off: forward 2x16: *", "Mlp *off *FAIL parity*"])


@pytest.mark.parametrize("where", ASYNC)
def test_a_coroutine_of_a_test_case_is_judged(mlp_project: pytest.Pytester, where: str) -> None:
    mlp_project.makepyfile(test_it=with_body(ASYNC[where], "IsolatedAsyncioTestCase"))
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["off: forward 2x16: *"])


def test_a_verdict_is_what_a_test_case_may_expect_to_fail_by(mlp_project: pytest.Pytester) -> None:
    body = "@unittest.expectedFailure\n    def test_it(self): self.cpu_model(X)"
    mlp_project.makepyfile(test_it=with_body(body))
    mlp_project.runpytest_inprocess("--cpu-backends=off").assert_outcomes(xfailed=1)
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Unexpected success*"])


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("self.fail('mine')", "failed"),
        ("self.skipTest('later')", "skipped"),
        ("raise unittest.SkipTest('later')", "skipped"),
        ("pytest.skip('later')", "skipped"),
        ("pytest.xfail('known')", "xfailed"),
    ],
)
def test_a_body_that_ends_early_is_not_judged_and_does_not_pass(
    mlp_project: pytest.Pytester, statement: str, outcome: str
) -> None:
    mlp_project.makepyfile(test_it=with_body(f"def test_it(self):\n        self.cpu_model(X)\n        {statement}"))
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.no_fnmatch_line("*FAIL parity*")


def test_a_mistake_in_set_up_is_one_line(mlp_project: pytest.Pytester) -> None:
    body = "def setUp(self): self.cpu_model.cuda()\n    def test_it(self): pass"
    mlp_project.makepyfile(test_it=with_body(body))
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cpu_model.cuda: a built model can't be changed; *", "  at test_it.py:*"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_a_mistake_in_a_subtest_is_one_line(mlp_project: pytest.Pytester) -> None:
    if not hasattr(pytest, "Subtests"):
        pytest.skip("this pytest has no subtests")
    mlp_project.makepyfile(
        test_it="""
        def test_it(cpu_model, subtests):
            with subtests.test("moved"): cpu_model.cuda()
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.stdout.fnmatch_lines(["cpu_model.cuda: a built model can't be changed; *", "  at test_it.py:2"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_a_test_case_runs_under_one_backend_and_says_which_it_leaves_out(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=with_body(METHODS["a method"]))
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin,off")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "should run under twin, off, and could under twin alone, as pytest gives "
            "methods of unittest.TestCase no parameters; give each backend a run of its own, such as "
            "--cpu-backends=off, or allow twin alone by @pytest.mark.cpu_backends('twin')"
        ]
    )


@pytest.mark.parametrize(("mark", "outcome"), [("'twin'", "passed"), ("'stored'", "skipped"), ("'off'", "errors")])
def test_a_test_case_may_be_narrowed(mlp_project: pytest.Pytester, mark: str, outcome: str) -> None:
    mlp_project.makepyfile(
        test_it=with_body(METHODS["a method"]).replace(EXACT, f"{EXACT}\n@pytest.mark.cpu_backends({mark})")
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(**{outcome: 1})


def test_a_test_case_skips_what_is_not_installed_where_functions_do(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=with_body(METHODS["a method"]))
    alone = mlp_project.runpytest_inprocess("-rs", "--cpu-backends=absent", "--cpu-missing=skip")
    alone.assert_outcomes(skipped=1)
    alone.stdout.fnmatch_lines(["SKIPPED *absent: no-such-distribution is not installed; *"])
    mlp_project.runpytest_inprocess("--cpu-backends=absent,twin", "--cpu-missing=skip").assert_outcomes(passed=1)


def test_a_mark_on_a_method_that_has_no_model_ends_the_run(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it=f"import pytest, unittest\n\nclass TestIt(unittest.TestCase):\n    {EXACT}\n    def test_it(self): pass"
    )
    assert refusal(mlp_project, "--cpu-backends=twin") == (
        "ERROR: cpuaccel: test_it.py::TestIt::test_it: @parity judges calls of cpu_model or cpu_accelerate; "
        "bring one by an autouse fixture: @pytest.fixture(autouse=True) def model(self, cpu_model): ..."
    )


DYNAMIC = f"""
import pytest, torch

{EXACT}
def test_it(request):
    model = request.getfixturevalue("cpu_model")
    model(torch.ones(2, 16))
"""


def test_a_model_that_a_test_gets_while_it_runs_is_judged(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=DYNAMIC)
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["off: forward 2x16: *"])


def test_a_model_that_a_test_gets_while_it_runs_leaves_no_backend_out_unsaid(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=DYNAMIC)
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin,off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*should run under twin, off, and could under *"])
    mlp_project.makepyfile(test_it=DYNAMIC.replace("(request)", "(request, cpu_backend)"))
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=1, failed=1)


def test_a_test_that_might_have_got_a_model_and_did_not_fails_by_its_mark(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=f"import pytest\n\n{EXACT}\ndef test_it(request): pass")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["@parity judges calls of cpu_model or cpu_accelerate; *"])


def test_a_doctest_is_judged_by_its_modules_marks(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it=f'''
        import pytest, torch

        pytestmark = {EXACT[1:]}

        def answer():
            """
            >>> model = getfixture("cpu_model")
            >>> model(torch.ones(2, 16)).shape
            torch.Size([2, 4])
            """
        '''
    )
    mlp_project.runpytest_inprocess("--doctest-modules", "--cpu-backends=twin").assert_outcomes(passed=1)
    result = mlp_project.runpytest_inprocess("--doctest-modules", "--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*off: forward 2x16: *"])


COROUTINE = f"""
import pytest, torch

{EXACT}
async def test_it(cpu_model): cpu_model(torch.ones(2, 16))
"""


def test_a_coroutine_is_judged_when_it_is_through(mlp_project: pytest.Pytester) -> None:
    mlp_project.makeconftest(
        (mlp_project.path / "conftest.py").read_text()
        + """
import asyncio

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    asyncio.run(pyfuncitem.obj(pyfuncitem.funcargs["cpu_model"]))
    return True
"""
    )
    mlp_project.makepyfile(test_it=COROUTINE)
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=1, failed=1)


def test_a_coroutine_that_nobody_runs_does_not_pass(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=COROUTINE)
    mlp_project.runpytest_inprocess("--cpu-backends=twin", "-p", "no:anyio", "-p", "no:asyncio").assert_outcomes(
        failed=1
    )


def test_coroutines_under_anyio_are_judged(mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anyio")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:benchmark")
    mlp_project.makepyfile(
        test_it=COROUTINE.replace("async def", "@pytest.mark.anyio\nasync def")
        + "\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=1, failed=1)


def test_coroutines_under_pytest_asyncio_are_judged(mlp_project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    mlp_project.makepyfile(test_it=COROUTINE.replace("async def", "@pytest.mark.asyncio\nasync def"))
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=1, failed=1)


def test_every_example_of_hypothesis_is_judged(mlp_project: pytest.Pytester) -> None:
    pytest.importorskip("hypothesis")
    mlp_project.makepyfile(
        test_it=f"""
        import pytest, torch
        from hypothesis import HealthCheck, given, settings, strategies

        {EXACT}
        @settings(
            max_examples=5, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
        )
        @given(batch=strategies.integers(1, 3))
        def test_it(cpu_model, batch): cpu_model(torch.ones(batch, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin,off")
    result.assert_outcomes(passed=1, failed=1)


def test_a_benchmarked_test_is_judged(mlp_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_benchmark")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    mlp_project.makepyfile(
        test_it=f"""
        import pytest, torch

        {EXACT}
        def test_it(cpu_model, benchmark): benchmark.pedantic(cpu_model, args=(torch.ones(2, 16),), rounds=2)
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=1, failed=1)


def test_an_item_of_another_plugin_is_judged_or_refused(mlp_project: pytest.Pytester) -> None:
    mlp_project.makeconftest(
        (mlp_project.path / "conftest.py").read_text()
        + """
class Spec(pytest.File):
    def collect(self):
        item = Line.from_parent(self, name="line")
        item.add_marker(pytest.mark.parity)
        yield item

class Line(pytest.Item):
    def runtest(self): pass

def pytest_collect_file(file_path, parent):
    return Spec.from_parent(parent, path=file_path) if file_path.suffix == ".spec" else None
"""
    )
    (mlp_project.path / "a.spec").touch()
    assert refusal(mlp_project, "--cpu-backends=twin") == (
        "ERROR: cpuaccel: a.spec::line: @parity judges calls of cpu_model or cpu_accelerate; "
        "a Line has neither: take the mark off"
    )


def test_a_mark_that_a_fixture_adds_is_judged(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.fixture
        def exact(request): request.node.add_marker(pytest.mark.parity(rtol=0, atol=0))

        @pytest.fixture
        def mistaken(request): request.node.add_marker(pytest.mark.parity(rtoll=0))

        def test_exact(exact, cpu_model): cpu_model(torch.ones(2, 16))

        def test_mistaken(mistaken, cpu_model): cpu_model(torch.ones(2, 16))

        def test_without_model(exact): pass
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "off: forward 2x16: *",
            "@parity takes no 'rtoll'; did you mean 'rtol'?",
            "@parity judges calls of cpu_model or cpu_accelerate; *",
        ]
    )


def test_a_mark_that_a_conftest_adds_is_judged_and_narrows(mlp_project: pytest.Pytester) -> None:
    mlp_project.makeconftest(
        (mlp_project.path / "conftest.py").read_text()
        + """
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.parity)
        item.add_marker(pytest.mark.cpu_backends("off"))
"""
    )
    mlp_project.makepyfile(test_it="import torch\n\ndef test_it(cpu_model): cpu_model(torch.ones(2, 16))")
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(skipped=1, failed=1)


def test_a_call_after_the_verdict_is_refused(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.fixture
        def late(cpu_model):
            yield cpu_model
            cpu_model(torch.ones(2, 16))

        @pytest.mark.parity
        def test_it(late): late(torch.ones(2, 16))

        def test_unmarked(late): pass
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["the model was called 1 time after the test had been judged, *"])


def test_a_model_does_not_outlive_its_test(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.mark.parity
        class TestIt:
            def test_first(self, cpu_model):
                type(self).kept = cpu_model
                cpu_model(torch.ones(2, 16))

            def test_second(self, cpu_backend): self.kept(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["cpu_model: the test that it was given to is over; *", "  at test_it.py:*"])


AGAIN = """

from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        runtestprotocol(item, nextitem=nextitem)
    return True
"""


def test_each_try_of_a_test_that_is_repeated_is_judged_by_itself(mlp_project: pytest.Pytester) -> None:
    mlp_project.makeconftest((mlp_project.path / "conftest.py").read_text() + AGAIN)
    mlp_project.makepyfile(
        test_it=f"""
        import pytest, torch

        tries = []

        {EXACT}
        def test_it(cpu_model):
            tries.append(1)
            cpu_model(torch.ones(1, 16))
            if len(tries) == 1: cpu_model(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off", "--cpu-report=r.json")
    result.assert_outcomes(failed=2)
    results = json.loads((mlp_project.path / "r.json").read_text())["results"]
    assert [found["call"] for found in results] == ["forward 1x16"]  # the rows of the last try alone


def test_a_test_that_passes_when_tried_again_is_judged_both_times(mlp_project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    mlp_project.makepyfile(
        test_it=f"""
        import pytest, torch

        tries = []

        {EXACT}
        def test_it(cpu_model):
            tries.append(1)
            cpu_model(torch.ones(2, 16))
            assert len(tries) == 2
        """
    )
    options = ("-p", "no:flaky", "--reruns=1")
    assert mlp_project.runpytest_inprocess("--cpu-backends=twin", *options).parseoutcomes() == {"passed": 1, "rerun": 1}
    assert mlp_project.runpytest_inprocess("--cpu-backends=off", *options).parseoutcomes() == {"failed": 1, "rerun": 1}


def test_a_verdict_stops_in_the_debugger_like_any_failure(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it=f"import pytest, torch\n\n{EXACT}\ndef test_it(cpu_model): cpu_model(torch.ones(2, 16))",
        test_case=with_body(METHODS["a method"]),
        stand_in="""
        class Debugger:
            def __init__(self, *args, **kwargs): self.quitting = False
            def reset(self): pass
            def set_continue(self): pass
            def interaction(self, frame, traceback): print("entered")
        """,
    )
    mlp_project.syspathinsert()
    result = mlp_project.runpytest_inprocess("--cpu-backends=off", "--pdb", "--pdbcls=stand_in:Debugger")
    result.assert_outcomes(failed=2)
    assert result.outlines.count("entered") == 2
