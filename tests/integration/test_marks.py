"""The marks: what they refuse before anything runs, and what their verdicts do to a test."""

from __future__ import annotations

import re

import pytest

from tests.integration.test_selection import refusal

SCORED = """
import pytest, torch

@pytest.mark.accuracy_budget({budget})
def test_it(score_items):
    score_items(lambda model, item: model(torch.ones(1, 16)).shape == (1, 4) and item % 2, range({items}))
"""


def marked(project: pytest.Pytester, mark: str, body: str = "cpu_model(torch.ones(2, 16))") -> None:
    project.makepyfile(test_it=f"import pytest, torch\n\n@pytest.mark.{mark}\ndef test_it(cpu_model):\n    {body}\n")


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("parity(rtoll=1e-3)", "@parity takes no 'rtoll'; did you mean 'rtol'?"),
        ("parity(1e-3)", "@parity(0.001): name the argument: rtol, atol, *"),
        ("parity(rtol='1e-3')", "@parity(rtol=): '1e-3' is a text; write 1e-3 without quotes"),
        ("parity(rtol=float('nan'))", "@parity(rtol=): nan is not a finite number; write 1e-3"),
        ("parity(top1='98%')", "@parity(top1=): '98%' is a text; write 0.98 without quotes"),
        ("latency_budget(speedup='1.3x')", "@latency_budget(speedup=): '1.3x' is a text; write 1.3 without quotes"),
        ("cpu_backends(exclude=3)", "@cpu_backends: 3 is not the name of a backend; write *"),
        ("parity(atol=-1)", "@parity(atol=): -1 is negative; write 1e-3"),
        ("parity(cosine=1.5)", "@parity(cosine=): 1.5 is outside [[]0, 1[]]; *"),
        ("parity(mask=3)", "@parity(mask=): 3 is not the name of an input; *"),
        ("parity(outputs=[])", "@parity(outputs=): [[][]] names no output; *"),
        ("parity(outputs=5)", "@parity(outputs=): 5 names no output; *"),
        ("parity(outputs={'a': 1e-3})", "@parity(outputs=): 0.001 is not a tolerance; *"),
        ("parity(outputs={'a': {'atoll': 1}})", "@parity(outputs=): no tolerance named 'atoll'; did you mean 'atol'?"),
        ("latency_budget()", '@latency_budget allows nothing yet; write p50="30 ms" or speedup=1.2'),
        ("latency_budget(vs='eager')", "@latency_budget allows nothing yet; *"),
        ("latency_budget(p50='30')", "@latency_budget(p50=): '30' has no unit; write \"30 ms\" *"),
        ("latency_budget(p50=30)", '@latency_budget(p50=): 30 is not a text with a unit; write "30 ms"'),
        ("latency_budget(p50='30 h')", "@latency_budget(p50=): '30 h' has unit 'h'; *"),
        ("latency_budget(p50='0 ms')", "@latency_budget(p50=): '0 ms' is zero; *"),
        ("latency_budget(p95='30 ms')", "@latency_budget takes no 'p95'; did you mean 'p9*'?"),
        ("latency_budget(speedup=0)", "@latency_budget(speedup=): 0 is not a speed-up; *"),
        (
            "latency_budget(speedup=True)",
            "@latency_budget(speedup=): True is not a number; write 1.3 for 1.3 times as fast",
        ),
        ("latency_budget(max_slowdown='5')", "@latency_budget(max_slowdown=): '5' has no unit; write \"5%\""),
        ("latency_budget(max_slowdown=5)", '@latency_budget(max_slowdown=): 5 would be 500 %; write "5%" or "500%"'),
        ("latency_budget(max_slowdown=-0.1)", "@latency_budget(max_slowdown=): -0.1 is negative; *"),
        (
            "latency_budget(speedup=1.1, max_slowdown='5%')",
            "@latency_budget has speedup= and max_slowdown=; both set the same ratio; keep one",
        ),
        (
            "latency_budget(speedup=1.1, vs='egaer')",
            "@latency_budget(vs=): no backend named 'egaer'; did you mean 'eager'?",
        ),
        ("latency_budget(speedup=1.1, vs='absent')", "@latency_budget(vs=): absent: no-such-distribution is not *"),
        ("latency_budget(speedup=1.1, vs=3)", "@latency_budget(vs=): 3 is not the name of a backend; *"),
        ("latency_budget(p50={})", "@latency_budget allows nothing yet; *"),
        ("latency_budget(p50={'twni': '1 s'})", "@latency_budget(p50=): no backend named 'twni'; did you mean 'twin'?"),
        ("memory_budget(peak={'x*': '1 GB'})", "@memory_budget(peak=): no backend named 'x[*]'; *"),
        (
            "latency_budget(speedup={'twin': 'fast'})",
            "@latency_budget(speedup=): 'fast' is a text; *",
        ),
        ("accuracy_budget(max_drop='1%')", "@accuracy_budget judges what score_items found; take it as argument"),
    ],
)
def test_a_mark_without_meaning_ends_the_run_before_any_test(
    mlp_project: pytest.Pytester, mark: str, words: str
) -> None:
    marked(mlp_project, mark)
    line = refusal(mlp_project, "--cpu-backends=twin")
    pytest.LineMatcher([line]).fnmatch_lines([f"ERROR: cpuaccel: test_it.py::test_it[[]twin[]]: {words}"])


@pytest.mark.parametrize("mark", ["parity", "latency_budget(p50='1 s')", "accuracy_budget(max_drop='1%')"])
def test_a_mark_on_a_test_without_our_model_ends_the_run(mlp_project: pytest.Pytester, mark: str) -> None:
    mlp_project.makepyfile(test_it=f"import pytest\n\n@pytest.mark.{mark}\ndef test_it(): pass")
    assert refusal(mlp_project) == (
        f"ERROR: cpuaccel: test_it.py::test_it: @{mark.partition('(')[0]} judges calls of cpu_model or "
        "cpu_accelerate; take one as argument"
    )


HELD_BY = {
    "module": "pytestmark = [MARKS]\n\nTESTS",
    "class": "for_class = pytest.mark.usefixtures()\n\nMARKED\nclass TestIt:\nMETHODS",
    "base class": "MARKED\nclass Base: pass\n\nclass TestIt(Base):\nMETHODS",
}
MARKS = "pytest.mark.parity(rtol=0, atol=0), pytest.mark.accuracy_budget(min_score=0.1)"


@pytest.mark.parametrize("where", HELD_BY)
def test_a_mark_around_a_test_holds_for_the_tests_that_use_a_model(mlp_project: pytest.Pytester, where: str) -> None:
    tests = (
        "def test_helper(SELF): pass\n"
        "def test_backend(SELF cpu_backend): pass\n"
        "def test_model(SELF cpu_model): cpu_model(torch.ones(2, 16))\n"
        "def test_scores(SELF score_items): score_items(lambda model, item: model(item) is not None, ITEMS)\n"
    )
    methods = "".join(f"    {line}\n" for line in tests.replace("SELF", "self,").splitlines())
    marked = "\n".join(f"@{mark}" for mark in MARKS.split(", pytest")).replace("@.mark", "@pytest.mark")
    text = HELD_BY[where].replace("MARKS", MARKS).replace("TESTS", tests.replace("SELF", ""))
    mlp_project.makepyfile(
        test_it="import pytest, torch\n\nITEMS = [torch.ones(2, 16)] * 30\n"
        + text.replace("METHODS", methods).replace("MARKED", marked)
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=4)
    mlp_project.runpytest_inprocess("--cpu-backends=off").assert_outcomes(passed=2, failed=2)


def test_an_accuracy_budget_around_a_test_that_scores_by_itself_fails(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.accuracy_budget(max_drop="1%")
        class TestIt:
            def test_it(self, cpu_model):
                assert cpu_model(torch.ones(2, 16)).shape == (2, 4)
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["off: nothing was scored; call score_items(fn, items) in the test"])


@pytest.mark.parametrize("budget", ["", "max_drop=None"])
def test_an_accuracy_budget_that_allows_nothing_ends_the_run(mlp_project: pytest.Pytester, budget: str) -> None:
    mlp_project.makepyfile(SCORED.format(budget=budget, items=10))
    assert "@accuracy_budget allows nothing yet; write max_drop=" in refusal(mlp_project)


def test_a_value_may_be_given_by_backend(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "parity(atol={'o*': 2.0, '*': 0.0}, rtol={'twin': 0.0, 'off': 0.0})")
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=2)
    marked(mlp_project, "parity(atol={'off': 0.5, 'tw*': 0.0}, rtol={'*': 0.0})")
    mlp_project.runpytest_inprocess("--cpu-backends=twin,off").assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        ("{'*': 9.0, '*ff': 0.0}", False),
        ("{'*ff': 0.0, '*': 9.0}", False),
        ("{'*': 0.0, 'o*': 9.0}", True),
        ("{'o*': 9.0, '*': 0.0}", True),
        ("{'*': 9.0, 'o*': 9.0, 'off': 0.0}", False),
        ("{'of*': 9.0, 'o*': 0.0, '*f': 0.0}", True),
        ("{'o*': 9.0, '*f': 9.0}", True),
    ],
)
def test_the_closest_glob_holds_in_any_order(mlp_project: pytest.Pytester, given: str, passes: bool) -> None:
    marked(mlp_project, f"parity(rtol=0.0, atol={given})")
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(**{"passed" if passes else "failed": 1})


def test_globs_that_fit_equally_closely_and_differ_end_the_run(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "latency_budget(p50={'o*': '9 s', '*f': '8 s'})")
    assert refusal(mlp_project, "--cpu-backends=off") == (
        "ERROR: cpuaccel: test_it.py::test_it[off]: @latency_budget(p50=): 'o*' and '*f' fit 'off' equally closely "
        "and differ; give 'off' a value of its own"
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("outputs", "passes"),
    [
        ("{'*': {'atol': 9.0, 'rtol': 0}, 'out*': {'atol': 0, 'rtol': 0}}", False),
        ("{'out*': {'atol': 9.0, 'rtol': 0}, '*': {'atol': 0, 'rtol': 0}}", True),
        ("{'*': {'atol': 0, 'rtol': 0}, 'output': {'atol': 9.0, 'rtol': 0}}", True),
    ],
)
def test_the_closest_glob_of_an_output_holds(mlp_project: pytest.Pytester, outputs: str, passes: bool) -> None:
    marked(mlp_project, f"parity(outputs={outputs})")
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(**{"passed" if passes else "failed": 1})


def test_globs_of_an_output_that_fit_equally_closely_and_differ_fail_the_test(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "parity(outputs={'out*': {'atol': 9.0}, '*put': {'atol': 1.0}})")
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["parity(outputs=): 'out[*]' and '[*]put' fit 'output' equally closely and differ; *"])


def test_a_wrong_output_fails_with_both_values_and_the_tolerance_that_would_pass(
    mlp_project: pytest.Pytester,
) -> None:
    marked(mlp_project, "parity(rtol=0, atol=0.5)")
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["off: forward 2x16: *", "Mlp *forward 2x16 *off * FAIL parity*"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_a_tolerance_finer_than_the_arithmetic_is_blamed_itself(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        test_it="""
        import pytest, torch

        @pytest.mark.parity(rtol=0, atol=1e-12)
        def test_it(cpu_model): cpu_model(torch.rand(8, 16))
        """
    )
    result = mlp_project.runpytest("--cpu-backends=torch-int8")
    result.assert_outcomes(failed=1)
    hints = [line.strip() for line in result.outlines if "hint:" in line]
    assert len(hints) == 1
    assert re.fullmatch(
        r"hint: the default tolerance for int8 takes this answer, \d+ dB, cosine [\d.]+, [\d.]+x int8 rounding; "
        r"the one given does not",
        hints[0],
    )


def test_nan_that_eager_has_not_fails(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "parity(rtol=1e9, atol=1e9)")
    result = mlp_project.runpytest_inprocess("--cpu-backends=nan")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["nan: forward 2x16: 'output' is nan at [[]0, 0[]], where eager's is *"])


@pytest.mark.parametrize(
    ("mark", "fixture"),
    [
        ("accuracy_budget(max_drop='1%')", "score_items"),
        ("accuracy_budget(min_score=0.9)", "score_items"),
        ("parity", "cpu_accelerate"),
        ("latency_budget(p50='10 s')", "cpu_accelerate"),
    ],
)
def test_a_test_that_never_calls_what_it_takes_fails(mlp_project: pytest.Pytester, mark: str, fixture: str) -> None:
    mlp_project.makepyfile(f"import pytest\n\n@pytest.mark.{mark}\ndef test_it({fixture}): pass\n")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*: the test never called {fixture}; nothing was judged"])


def test_what_a_class_sets_is_closer_than_what_its_bases_set(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        class Base:
            pytestmark = [pytest.mark.parity(rtol=0, atol=1e-30), pytest.mark.cpu_backends("twin")]

            def test_it(self, cpu_model):
                cpu_model(torch.ones(2, 16))

        class TestWide(Base):
            pytestmark = [pytest.mark.parity(atol=9.0), pytest.mark.cpu_backends("off")]

        @pytest.mark.parity(atol=9.0)
        class TestDecorated(Base):
            pass

        class TestSame(Base):
            pytestmark = [pytest.mark.cpu_backends("off")]
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin,off", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*TestWide::test_it[[]off[]] PASSED*", "*TestDecorated::test_it[[]twin[]] PASSED*"])
    result.stdout.fnmatch_lines(["*TestSame::test_it[[]off[]] FAILED*"])


@pytest.mark.parametrize("mark", ["parity", "latency_budget(p50='10 s')"])
def test_a_test_that_calls_nothing_fails(mlp_project: pytest.Pytester, mark: str) -> None:
    marked(mlp_project, mark, body="pass")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["twin: the test never called the model, so there is nothing to judge"])


def test_an_accuracy_budget_without_a_score_fails(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest

        @pytest.mark.accuracy_budget(max_drop="1%")
        def test_it(cpu_model, score_items): pass
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["twin: nothing was scored; call score_items(fn, items) in the test"])


def test_failed_parity_withholds_latency(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        @pytest.mark.latency_budget(p50="10 s")
        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["model *p50 *verdict", "Mlp *off *withheld *FAIL parity*"])


@pytest.mark.parametrize(("strict", "outcome"), [("False", "xpassed"), ("True", "failed")])
def test_xfail_takes_a_verdict_like_any_failure(mlp_project: pytest.Pytester, strict: str, outcome: str) -> None:
    mlp_project.makepyfile(
        f"""
        import pytest, torch

        @pytest.mark.xfail(strict={strict})
        @pytest.mark.parity
        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off,twin")
    result.assert_outcomes(xfailed=1, **{outcome: 1})
    result.stdout.fnmatch_lines(["*off *FAIL parity (xfail)*"])


def test_a_failing_body_is_not_judged(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "parity", body="cpu_model(torch.ones(2, 16)); assert not 'mine'")
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * assert not 'mine'"])
    result.stdout.no_fnmatch_line("*FAIL parity*")


UNDECIDED = SCORED.format(budget="min_score=0.6", items=4)


@pytest.mark.parametrize(("policy", "outcome"), [("warn", "passed"), ("fail", "failed"), ("skip", "skipped")])
def test_what_cannot_be_decided_warns_fails_or_skips(mlp_project: pytest.Pytester, policy: str, outcome: str) -> None:
    mlp_project.makepyfile(UNDECIDED)
    result = mlp_project.runpytest_inprocess("-rs", "--cpu-backends=twin", f"--cpu-inconclusive={policy}")
    result.assert_outcomes(**{outcome: 1}, warnings=int(policy == "warn"))
    result.stdout.fnmatch_lines(
        [
            "Mlp *score_items x4 *twin *INCONCLUSIVE accuracy*",
            "INCONCLUSIVE *.py::test_it[[]twin[]]: twin: *more items*",
        ]
    )


TWO_UNDECIDED = UNDECIDED.replace("(score_items)", "(score_items, again)").replace(
    "@pytest", "@pytest.mark.parametrize('again', [1, 2])\n@pytest", 1
)


@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["alone", "two_workers"])
def test_each_verdict_that_is_not_decided_is_a_warning_at_its_test(
    mlp_project: pytest.Pytester, options: list[str]
) -> None:
    if options:
        pytest.importorskip("xdist")
    mlp_project.makepyfile(test_it=TWO_UNDECIDED)
    result = mlp_project.runpytest_subprocess("--cpu-backends=twin,stored", *options)
    result.assert_outcomes(passed=4, warnings=4)
    tests = ["test_it.py::test_it[[]{}-1[]]", "test_it.py::test_it[[]{}-2[]]"]  # one text, so pytest joins them
    for backend in ("twin", "stored"):
        warned = f"*test_it.py:3: CpuaccelWarning: INCONCLUSIVE {backend}: *more items*"
        result.stdout.fnmatch_lines([test.format(backend) for test in tests] + [warned])


@pytest.mark.parametrize("category", ["error", "error::pytest_cpuaccel.CpuaccelWarning"])
def test_a_verdict_that_is_not_decided_is_an_error_where_warnings_are(
    mlp_project: pytest.Pytester, category: str
) -> None:
    mlp_project.makepyfile(test_it=UNDECIDED)
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "-W", category)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INCONCLUSIVE twin: *more items*", "Mlp *INCONCLUSIVE accuracy*"])
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")


def test_a_warning_of_ours_may_be_ignored_or_switched_off_like_any(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=UNDECIDED)
    options = [["-p", "no:warnings"], ["-W", "ignore::pytest_cpuaccel.CpuaccelWarning"]]
    for chosen in options:
        result = mlp_project.runpytest_subprocess("--cpu-backends=twin", *chosen)
        result.assert_outcomes(passed=1, warnings=0)
        result.stdout.fnmatch_lines(["Mlp *INCONCLUSIVE accuracy*", "INCONCLUSIVE test_it.py::test_it[[]twin[]]: *"])


def test_enough_items_pass_the_accuracy_budget(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(SCORED.format(budget='max_drop="5%"', items=400))
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["Mlp *score_items x400 *twin *PASS"])


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("max_drop=1", '(max_drop=): 1 would be 100 % of right/wrong scores; write "1%", or "1 point" where *'),
        ("max_drop=2.5", '(max_drop=): 2.5 would be 250 % of *; write "2.5%", or "2.5 points" where *'),
        ("max_drop=True", "(max_drop=): True is not a number; write *"),
        ("max_drop='1'", "(max_drop=): '1' has no unit; *"),
        ("max_drop='-1 points'", "(max_drop=): '-1 points' *"),
        ("max_drop='1%', of='those'", "(of=): 'those' *; write of=\"these\", or leave it out"),
        ("max_drop='1%', of=['these']", "(of=): [[]'these'[]] *; write of=\"these\", or leave it out"),
        ("max_drop='1%', off='these'", " takes no 'off'; did you mean 'of'?"),
        ("of='these'", " allows nothing yet; write max_drop=*"),
        ("of={'twin': 'these'}", " allows nothing yet; write max_drop=*"),
    ],
)
def test_an_accuracy_budget_without_meaning_ends_the_run_before_any_test(
    mlp_project: pytest.Pytester, budget: str, words: str
) -> None:
    mlp_project.makepyfile(test_it=SCORED.format(budget=budget, items=4))
    line = refusal(mlp_project, "--cpu-backends=twin")
    pytest.LineMatcher([line]).fnmatch_lines(
        [f"ERROR: cpuaccel: test_it.py::test_it[[]twin[]]: @accuracy_budget{words}"]
    )


@pytest.mark.parametrize("of", ["of='these'", "of={'tw*': 'these'}"])
@pytest.mark.parametrize(("budget", "outcome"), [("max_drop='1%'", "passed"), ("min_score=0.6", "failed")])
def test_a_claim_of_the_given_items_alone_is_decided_by_few(
    mlp_project: pytest.Pytester, budget: str, outcome: str, of: str
) -> None:
    mlp_project.makepyfile(SCORED.format(budget=f"{budget}, {of}", items=4))
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin", "--cpu-inconclusive=fail")
    result.assert_outcomes(**{outcome: 1})
    if outcome == "failed":
        result.stdout.fnmatch_lines(["*(min_score=): eager itself scores 0.5, at least 0.6 wanted: no backend *"])


def test_a_drop_that_right_wrong_scores_always_keep_fails_in_one_line(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(SCORED.format(budget="max_drop='1 point'", items=4))
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['*accuracy_budget(max_drop=): scores lie between 0 and 1 here, *write "1%" or 0.01'])


def test_a_speed_up_that_is_not_there_fails_with_both_numbers(mlp_project: pytest.Pytester) -> None:
    marked(mlp_project, "latency_budget(speedup=1000)")
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["twin: forward 2x16: *x the speed of eager *, budget 1000.00x or more"])


def test_every_failing_verdict_is_told(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        def test_it(cpu_model):
            cpu_model(torch.ones(2, 16))
            cpu_model(torch.ones(3, 16))
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=off")
    result.stdout.fnmatch_lines(["off: forward 2x16: *", "off: forward 3x16: *"])


def test_a_comparison_with_a_backend_that_is_missing_skips_where_missing_ones_do(
    mlp_project: pytest.Pytester,
) -> None:
    marked(mlp_project, "latency_budget(speedup=1.1, vs='absent')")
    result = mlp_project.runpytest_inprocess("-rs", "--cpu-backends=twin", "--cpu-missing=skip")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *@latency_budget(vs=): absent: no-such-distribution is not installed; *"])


def test_subtests_run_before_the_verdict(mlp_project: pytest.Pytester) -> None:
    if not hasattr(pytest, "Subtests"):
        pytest.skip("this pytest has no subtests")
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.parity
        def test_it(cpu_model, subtests):
            for batch in (1, 2):
                with subtests.test(batch=batch):
                    assert cpu_model(torch.ones(batch, 16)).shape == (batch, 4)
        """
    )
    result = mlp_project.runpytest_inprocess("--cpu-backends=twin,off")
    result.stdout.fnmatch_lines(["off: forward 1x16: *", "Mlp *forward 1x16 *twin *PASS"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
