"""The latency mark: what contradicts itself, what a call can't be held to, and what is said of calls too slow."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

import pytest

from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.percentile import measure_percentiles
from pytest_cpuaccel.measure.latency.race import race
from tests.integration.conftest import CONFTEST, Builds
from tests.integration.test_marks import marked
from tests.integration.test_selection import refusal

GENERATES = """
import pytest, torch
from tests import models

@pytest.fixture(scope="session")
def decoder():
    return models.gpt2()

def generate(model, tokens=4, **settings):
    return model.generate(torch.tensor([[5, 6, 7]]), min_new_tokens=tokens, max_new_tokens=tokens, **settings)
"""


@pytest.fixture
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements that can't be decided end after little more than a second."""
    caps = functools.partial(RaceConfig, cap_s=1.1, long_cap_s=1.1, warmup_cap_s=0.2)
    monkeypatch.setattr("pytest_cpuaccel.evaluation.session.RaceConfig", caps)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (
            "latency_budget(p50='30 ms', p90='20 ms')",
            "@latency_budget: p50= allows 30.0 ms and p90= only 20.0 ms; p50 is never above p90",
        ),
        ("latency_budget(p90='30 ms', p99='20 ms')", "@latency_budget: p90= allows 30.0 ms and p99= only 20.0 ms; *"),
        ("latency_budget(p50='2 s', p99='20 ms')", "@latency_budget: p50= allows 2.00 s and p99= only 20.0 ms; *"),
        ("latency_budget(ttft='2 s', p90='1 s')", "@latency_budget: ttft= allows 2.00 s and p90= only 1.00 s; *"),
        ("latency_budget(tpot='2 s', p50='1 s')", "@latency_budget: tpot= allows 2.00 s and p50= only 1.00 s; *"),
        (
            "latency_budget(min_throughput=40)",
            '@latency_budget(min_throughput=): 40 is not a text with a unit; write "40 items/s"',
        ),
        ("latency_budget(min_throughput='40')", "@latency_budget(min_throughput=): '40' has no unit; *"),
        ("latency_budget(ttft='200')", "@latency_budget(ttft=): '200' has no unit; *"),
    ],
)
def test_budgets_that_contradict_each_other_end_the_run(mlp_project: pytest.Pytester, mark: str, words: str) -> None:
    marked(mlp_project, mark)
    line = refusal(mlp_project, "--cpu-backends=twin")
    pytest.LineMatcher([line]).fnmatch_lines([f"ERROR: cpuaccel: test_it.py::test_it[[]twin[]]: {words}"])


@pytest.mark.parametrize("name", ["latency_budget(p50='30 ms')", "parity(atol=1e-3)", "cpu_backends('eager')"])
def test_two_marks_in_one_place_end_the_run_for_one_would_be_dropped(mlp_project: pytest.Pytester, name: str) -> None:
    marked(mlp_project, f"{name}\n@pytest.mark.{name}")
    mark = name.partition("(")[0]
    assert refusal(mlp_project).endswith(f"two @{mark} in one place, of which only one would count; write them as one")


def test_the_closest_mark_stands_in_the_place_of_those_around_it(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        pytestmark = pytest.mark.parity(rtol=0, atol=0)

        @pytest.mark.parity(rtol=0, atol=2)
        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=off").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "mark", ["latency_budget(speedup={'stored': 9, 'off': None})", "accuracy_budget(min_score={'o*': 1})"]
)
def test_a_budget_for_other_backends_alone_holds_this_one_to_nothing(mlp_project: pytest.Pytester, mark: str) -> None:
    mlp_project.makepyfile(
        "import pytest, torch\n\n"
        f"@pytest.mark.{mark}\ndef test_it(cpu_model, score_items): cpu_model(torch.ones(2, 16))"
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*verdict*")


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (
            "latency_budget(speedup=1.2, vs='twin')",
            "latency_budget(speedup=1.2): twin would race itself; leave it out by "
            'speedup={"twin": None, "[*]": 1.2}, or name another backend in vs=',
        ),
        (
            "latency_budget(speedup=1.2, vs='refusing')",
            "refusing: NotImplementedError: no kernel for aten::gelu (at *) (latency_budget names it in vs=)",
        ),
        (
            "latency_budget(speedup=1.2, vs='raising')",
            "raising: raises when its latency is taken: RuntimeError: kernel failed",
        ),
        (
            "latency_budget(ttft='1 s')",
            "latency_budget(ttft=): forward 2x16: only generate() has tokens that are timed; p50= holds any call",
        ),
    ],
)
def test_what_can_not_be_raced_or_timed_fails_its_test_as_one_line(
    mlp_project: pytest.Pytester, mark: str, words: str
) -> None:
    marked(mlp_project, mark)
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([words])
    result.stdout.no_fnmatch_line("*latency.py*")


def test_any_installed_backend_may_be_raced_whether_tests_run_under_it_or_not(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "latency_budget(max_slowdown='900%', vs='stored')")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["Mlp *forward 2x16 *twin *x [[]* vs stored *PASS"])


@pytest.mark.parametrize("mark", ["parity", "latency_budget(p50='10 s')"])
def test_calls_that_all_raised_fail_and_are_counted(mlp_project: pytest.Pytester, mark: str) -> None:
    marked(mlp_project, mark, body="pytest.raises(Exception, cpu_model, torch.ones(2, 3))")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["twin: 1 call raised and none returned, so there is nothing to judge"])


def test_a_throughput_is_judged_shown_and_refused_without_a_batch(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.latency_budget(min_throughput="1 items/s")
        def test_batch(cpu_model):
            cpu_model(torch.ones(8, 16))

        @pytest.mark.latency_budget(min_throughput="1 items/s")
        def test_single(cpu_model):
            cpu_model(torch.ones(16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--junitxml=junit.xml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "latency_budget(min_throughput=): forward 16: can't infer the batch size: inputs start with 16, the "
            "first output with 4; use p50= instead",
            "test *model *p50 *throughput *vs eager *verdict",
            "test_batch *Mlp *forward 8x16 *twin * items/s *PASS",
        ]
    )
    junit = (mlp_project.path / "junit.xml").read_text()
    assert 'name="cpuaccel.0.latency.items" value="8"' in junit
    assert 'name="cpuaccel.0.latency.items_per_s"' in junit


@pytest.mark.usefixtures("soon_over")
def test_a_throughput_out_of_reach_fails_with_both_numbers(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "latency_budget(min_throughput='1000000000 items/s')")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-inconclusive=fail")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*twin: forward 2x16: throughput was * items/s, budget 1000000000 items/s (*"])


RACED = """
import pytest, torch

torch.manual_seed(0)

@pytest.mark.latency_budget({budget})
def test_it(cpu_accelerate):
    for _ in range({models}):
        model = cpu_accelerate(torch.nn.Linear(16, 16).eval())
        for rows in range({workloads}):
            model(torch.ones(rows + 1, 16))
"""


@pytest.fixture
def alphas(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What each race and each hold of limits may cost, in the order they come."""
    spent: list[float] = []

    def noting(judged: Any) -> Any:
        def measured(*given: Any, **settings: Any) -> Any:
            spent.append(
                next(value for value in (*given, *settings.values()) if isinstance(value, RaceConfig)).alpha_above
            )
            return judged(*given, **settings)

        return measured

    monkeypatch.setattr("pytest_cpuaccel.evaluation.latency.race", noting(race))
    monkeypatch.setattr("pytest_cpuaccel.evaluation.latency.measure_percentiles", noting(measure_percentiles))
    monkeypatch.setattr("pytest_cpuaccel.evaluation.baseline.race", noting(race))
    return spent


@pytest.mark.parametrize(
    ("budget", "measured", "limits"),
    [("max_slowdown='900%'", 1, 1), ("p50='9 s', min_throughput='1 items/s', speedup=0.1", 2, 3)],
)
@pytest.mark.parametrize(("models", "workloads"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_the_chance_of_a_wrong_fail_is_shared_out_among_all_that_can_fail_a_test(
    mlp_project: pytest.Pytester,
    alphas: list[float],
    budget: str,
    measured: int,
    limits: int,
    models: int,
    workloads: int,
) -> None:
    mlp_project.makepyfile(RACED.format(budget=budget, models=models, workloads=workloads))
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)
    each = RaceConfig().alpha_above / (limits * models * workloads)
    assert alphas == [pytest.approx(each)] * (measured * models * workloads)


def test_a_baseline_takes_its_share_of_the_chance_of_a_wrong_fail(
    mlp_project: pytest.Pytester, alphas: list[float]
) -> None:
    mlp_project.makepyfile(RACED.format(budget="max_slowdown='900%'", models=1, workloads=2))
    mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-save=main").assert_outcomes(passed=1)
    assert alphas == [pytest.approx(RaceConfig().alpha_above / 2)] * 2
    alphas.clear()
    mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-against=main").assert_outcomes(passed=1)
    assert alphas == [pytest.approx(RaceConfig().alpha_above / 4)] * 2


@pytest.mark.parametrize("budget", ["p50='10 s'", "max_slowdown='900%'", "p50='10 s', speedup=0.1"])
def test_a_call_slower_than_the_cap_is_told_after_the_first(
    mlp_project: pytest.Pytester, builds: Builds, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    monkeypatch.setattr("pytest_cpuaccel.evaluation.session.RaceConfig", functools.partial(RaceConfig, long_cap_s=1e-9))
    mlp_project.makeconftest(CONFTEST.replace("return doubles.BACKENDS", "return [doubles.NOTED]"))
    marked(mlp_project, f"latency_budget({budget})")
    result = mlp_project.runpytest_inprocess("--cpu-backends=noted", "--cpu-inconclusive=fail")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "INCONCLUSIVE noted: forward 2x16: one call took *; the * that a verdict on * needs take *, "
            "and 1 ns are allowed"
        ]
    )
    assert len(builds("call")) == 2  # the test's own, and the one that was timed


@pytest.mark.usefixtures("soon_over")
@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_times_of_tokens_are_judged_shown_and_refused_where_there_are_none(project: pytest.Pytester) -> None:
    project.makepyfile(
        GENERATES
        + """
@pytest.mark.latency_budget(ttft="10 s", tpot="10 s")
def test_greedy(cpu_accelerate, decoder):
    generate(cpu_accelerate(decoder))

@pytest.mark.latency_budget(ttft="1 ns", tpot="10 s")
def test_slow(cpu_accelerate, decoder):
    generate(cpu_accelerate(decoder))

@pytest.mark.latency_budget(tpot="10 s")
def test_one_token(cpu_accelerate, decoder):
    generate(cpu_accelerate(decoder), tokens=1)

@pytest.mark.latency_budget(tpot="10 s")
def test_drafted(cpu_accelerate, decoder):
    generate(cpu_accelerate(decoder), prompt_lookup_num_tokens=2)
"""
    )
    result = project.runpytest_inprocess("--cpu-inconclusive=fail", "--cpu-report=run.json")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*eager: generate 1x3: ttft was *s, budget 1 ns (* drawn calls broke the budget*",
            "latency_budget(tpot=): generate 1x3: only one token was generated; tpot= needs at least two",
            "latency_budget(tpot=): generate 1x3: prompt_lookup_num_tokens= drafts several tokens in a step, *",
            "test *model *p50 *ttft *tpot *vs eager *verdict",
        ]
    )
    assert '"tpot_ns"' in (project.path / "run.json").read_text()
