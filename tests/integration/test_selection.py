"""Which backends tests run under: the options, the ini file, the mark, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

import pytest

USES_MODEL = """
import torch

def test_call(cpu_model):
    assert cpu_model(torch.ones(2, 16)).shape == (2, 4)
"""


def collected(project: pytest.Pytester, *args: str) -> list[str]:
    """Return the ids of the tests, in the order they would run."""
    result = project.runpytest_inprocess("--collect-only", "-q", *args)
    assert result.ret == 0, result.stderr.str()
    return [line for line in result.outlines if "::" in line]


def refusal(project: pytest.Pytester, *args: str) -> str:
    """Return the one line with which a run was refused."""
    result = project.runpytest_inprocess(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    lines = [line for line in result.errlines if line]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("option", "ids"),
    [
        ("--cpu-backends=eager,twin", ["eager", "twin"]),
        ("--cpu-backends=twin,eager", ["twin", "eager"]),
        ("--cpu-backends=twin, eager,twin", ["twin", "eager"]),
        ("--cpu-backends=tw*", ["twin"]),
        ("--cpu-backends=st*,twin", ["stored", "twin"]),
        ("--cpu-backends=off,*n*", None),
    ],
)
def test_a_test_runs_once_under_each_backend_in_the_order_given(
    mlp_project: pytest.Pytester, option: str, ids: list[str] | None
) -> None:
    mlp_project.makepyfile(test_it=USES_MODEL)
    found = [test.partition("[")[2][:-1] for test in collected(mlp_project, option)]
    if ids is not None:
        assert found == ids
    assert len(set(found)) == len(found)


def test_all_means_what_is_installed(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=USES_MODEL)
    ids = {test.partition("[")[2][:-1] for test in collected(mlp_project, "--cpu-backends=all")}
    assert {"eager", "twin", "torchscript"} <= ids
    assert not {"absent", "outdated"} & ids


def test_the_ini_file_chooses_and_the_option_wins(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=USES_MODEL)
    mlp_project.makeini("[pytest]\ncpu_backends = twin, off")
    assert collected(mlp_project) == ["test_it.py::test_call[twin]", "test_it.py::test_call[off]"]
    assert collected(mlp_project, "--cpu-backends=eager") == ["test_it.py::test_call[eager]"]


def test_with_nothing_chosen_eager_runs_and_the_header_says_how_to_choose(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(test_it=USES_MODEL)
    result = mlp_project.runpytest_inprocess("-v")
    result.stdout.fnmatch_lines(["cpuaccel: eager only; choose backends with --cpu-backends=*", "*[[]eager[]] PASSED*"])
    result.assert_outcomes(passed=1)


JUDGED = USES_MODEL.replace("def test", "import pytest\n\n@pytest.mark.parity\ndef test")
REMINDER = "cpuaccel: eager only; choose backends with --cpu-backends=NAMES, such as ort,openvino* or all"


def test_with_nothing_chosen_the_closing_lines_say_what_the_verdicts_are_worth(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile(JUDGED)
    assert mlp_project.runpytest_inprocess().outlines.count(REMINDER) == 2
    assert mlp_project.runpytest_subprocess("-n1").outlines.count(REMINDER) == 2
    assert mlp_project.runpytest_inprocess("-q").outlines.count(REMINDER) == 1
    assert mlp_project.runpytest_subprocess("-q", "-n1").outlines.count(REMINDER) == 1
    assert mlp_project.runpytest_inprocess("-qq").outlines.count(REMINDER) == 0
    assert mlp_project.runpytest_inprocess("-q", "--no-header").outlines.count(REMINDER) == 1
    assert mlp_project.runpytest_inprocess("--cpu-backends=eager").outlines.count(REMINDER) == 0
    mlp_project.makepyfile("def test_plain(): pass")
    assert mlp_project.runpytest_inprocess("-k", "plain").outlines.count(REMINDER) == 1


@pytest.mark.parametrize("written", ["", ",", " ", " , ,"])
@pytest.mark.parametrize("where", ["option", "ini", "override"])
def test_a_choice_that_names_nothing_is_refused(mlp_project: pytest.Pytester, written: str, where: str) -> None:
    mlp_project.makepyfile(JUDGED)
    if where == "ini":
        mlp_project.makeini(f"[pytest]\ncpu_backends = {written}")
    given = {"option": [f"--cpu-backends={written}"], "ini": [], "override": ["-o", f"cpu_backends={written}"]}[where]
    line = refusal(mlp_project, *given)
    place = {"option": f"--cpu-backends={written}", "ini": "cpu_backends in ", "override": "-o cpu_backends "}[where]
    assert line.startswith(f"ERROR: cpuaccel: {place}")
    assert line.endswith(" names no backend; leave it out to run eager alone")


@pytest.mark.parametrize("written", ["twin,", ",twin", "twin,,off"])
def test_a_gap_in_a_choice_is_refused(mlp_project: pytest.Pytester, written: str) -> None:
    mlp_project.makepyfile(JUDGED)
    assert refusal(mlp_project, f"--cpu-backends={written}") == (
        f"ERROR: cpuaccel: --cpu-backends: {written!r} has an empty name; leave out the comma, or name a backend there"
    )


@pytest.mark.parametrize("name", ["model", "candidate", "task", "save", "against"])
@pytest.mark.parametrize("written", ["", "  "])
def test_other_choices_that_name_nothing_are_refused(mlp_project: pytest.Pytester, name: str, written: str) -> None:
    mlp_project.makepyfile(JUDGED)
    for given in ([f"--cpu-{name}={written}"], ["-o", f"cpu_{name}={written}"]):
        assert "; leave " in refusal(mlp_project, *given)


@pytest.mark.parametrize("name", ["missing", "inconclusive", "threads", "cache-limit", "wait", "against-slowdown"])
def test_an_empty_value_where_one_is_needed_is_refused(mlp_project: pytest.Pytester, name: str) -> None:
    mlp_project.makepyfile(JUDGED)
    refusal(mlp_project, f"--cpu-{name}=")
    refusal(mlp_project, "-o", f"cpu_{name.replace('-', '_')}=")


@pytest.mark.parametrize(
    ("mark", "ids"),
    [
        ("'twin'", ["twin"]),
        ("'t*', 'off'", ["twin", "off"]),
        ("exclude='twin'", ["eager", "off"]),
        ("exclude=['eager', 'o*']", ["twin"]),
        ("'*', exclude='eager'", ["twin", "off"]),
        ("'stored'", ["none"]),
    ],
)
def test_the_mark_narrows_a_test(mlp_project: pytest.Pytester, mark: str, ids: list[str]) -> None:
    mlp_project.makepyfile(f"import pytest\n\n@pytest.mark.cpu_backends({mark})\ndef test_it(cpu_model): pass")
    found = [test.partition("[")[2][:-1] for test in collected(mlp_project, "--cpu-backends=eager,twin,off")]
    assert found == ids


def test_a_test_narrowed_to_nothing_is_skipped_with_the_reason(mlp_project: pytest.Pytester) -> None:
    mlp_project.makepyfile("import pytest\n\n@pytest.mark.cpu_backends('stored')\ndef test_it(cpu_model): pass")
    result = mlp_project.runpytest_inprocess("-rs", "--cpu-backends=eager,twin")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*@cpu_backends allows none of the chosen backends: eager, twin"])


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("'twinn'", "test_it.py::test_x[[]none[]]: @cpu_backends: no backend named 'twinn'; did you mean 'twin'?"),
        ("exclude='offf'", "*: @cpu_backends: no backend named 'offf'; did you mean 'off'?"),
        ("7", "*: @cpu_backends: 7 is not the name of a backend; write *"),
        ("'twin', excluding='off'", "*: @cpu_backends takes no 'excluding'; did you mean 'exclude'?"),
    ],
)
def test_a_mark_that_names_no_backend_ends_the_run(mlp_project: pytest.Pytester, mark: str, words: str) -> None:
    mlp_project.makepyfile(test_it=f"import pytest\n\n@pytest.mark.cpu_backends({mark})\ndef test_x(cpu_model): pass")
    pytest.LineMatcher([refusal(mlp_project)]).fnmatch_lines([f"ERROR: cpuaccel: {words}"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("tvin", "'tvin'; did you mean 'twin'?"),
        ("eager,opnvino", "'opnvino'; did you mean 'openvino'?"),
        ("onnxruntime", "'onnxruntime'; did you mean 'ort'?"),
        ("xyz*", "'xyz*'; there are: eager, *, twin, *"),
    ],
)
def test_an_unknown_name_ends_the_run_with_the_nearest_known_one(
    mlp_project: pytest.Pytester, names: str, words: str
) -> None:
    line = refusal(mlp_project, f"--cpu-backends={names}")
    prefix, _, hint = line.partition("no backend named ")
    assert prefix == "ERROR: cpuaccel: --cpu-backends: "
    assert fnmatchcase(hint, words)


def test_an_unknown_name_in_the_ini_file_says_where_it_stands(mlp_project: pytest.Pytester) -> None:
    mlp_project.makeini("[pytest]\ncpu_backends = tvin")
    assert refusal(mlp_project) == (
        "ERROR: cpuaccel: cpu_backends in tox.ini: no backend named 'tvin'; did you mean 'twin'?"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", 'absent: no-such-distribution is not installed; pip install "no-such-distribution>=2"'),
        (
            "outdated",
            f"outdated: pytest {pytest.__version__} is installed, needs <1 (later ones lack py.test); "
            'pip install "pytest<1"',
        ),
    ],
)
def test_a_chosen_backend_that_is_not_installed_ends_the_run_or_skips(
    mlp_project: pytest.Pytester, name: str, reason: str
) -> None:
    mlp_project.makepyfile(USES_MODEL)
    option = f"--cpu-backends=twin,{name}"
    assert (
        refusal(mlp_project, option)
        == f"ERROR: cpuaccel: --cpu-backends: {reason} (--cpu-missing=skip runs the others)"
    )

    result = mlp_project.runpytest_inprocess("-rs", option, "--cpu-missing=skip")
    result.assert_outcomes(passed=1, skipped=1)
    assert f"cpuaccel: skipped {reason}" in result.outlines
    assert any(line.endswith(reason) and line.startswith("SKIPPED") for line in result.outlines)


def test_a_glob_that_matches_nothing_installed_is_refused(mlp_project: pytest.Pytester) -> None:
    assert refusal(mlp_project, "--cpu-backends=abs*").startswith(
        "ERROR: cpuaccel: --cpu-backends: 'abs*' matches no installed backend: absent: no-such-distribution"
    )


def test_the_header_names_backends_versions_threads_and_cpu(mlp_project: pytest.Pytester) -> None:
    result = mlp_project.runpytest_inprocess("--cpu-backends=eager,twin", "--cpu-threads=2")
    result.stdout.fnmatch_lines(
        ["cpuaccel: eager, twin", f"cpuaccel: torch {metadata.version('torch')}", "cpuaccel: 2 threads of * | *"]
    )


def test_tests_are_grouped_by_backend_and_each_model_is_built_once(mlp_project: pytest.Pytester, builds: Any) -> None:
    body = USES_MODEL + "\ndef test_again(cpu_model):\n    cpu_model(torch.ones(2, 16))\n"
    mlp_project.makepyfile(test_a=body, test_b=body)
    result = mlp_project.runpytest_inprocess("-v", "--cpu-backends=twin,stored")
    result.assert_outcomes(passed=8)
    order = [line.partition("[")[2].partition("]")[0] for line in result.outlines if "PASSED" in line]
    assert order == ["twin"] * 4 + ["stored"] * 4
    assert builds("load") == ["load Mlp", "load Mlp"]


def test_tests_that_leave_a_backend_out_do_not_tear_groups_apart(mlp_project: pytest.Pytester, builds: Any) -> None:
    mlp_project.makepyfile(
        """
        import pytest, torch

        @pytest.mark.cpu_backends("stored")
        def test_a(cpu_model): cpu_model(torch.ones(2, 16))

        def test_b(cpu_model): cpu_model(torch.ones(2, 16))

        @pytest.mark.cpu_backends("twin")
        def test_c(cpu_model): cpu_model(torch.ones(2, 16))
        """
    )
    mlp_project.runpytest_inprocess("--cpu-backends=twin,stored").assert_outcomes(passed=4)
    assert len(builds("load")) == 2


@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_model_made_anew_with_equal_weights_is_exported_once_and_built_for_each(
    mlp_project: pytest.Pytester, builds: Any, scope: str
) -> None:
    own = f"""
import pytest
from tests import models

@pytest.fixture(scope={scope!r})
def eager_model():
    torch.manual_seed(0)
    return models.mlp()
"""
    mlp_project.makepyfile(test_a=own + USES_MODEL, test_b=own + USES_MODEL)
    mlp_project.runpytest_inprocess("--cpu-backends=stored").assert_outcomes(passed=2)
    assert (builds("export"), builds("load")) == (["export"], ["load Mlp", "load Mlp"])


@pytest.mark.parametrize("chosen", ["", "--cpu-backends=ort,openvino,torchscript"])
def test_a_run_that_does_not_use_it_imports_nothing_heavy(project: pytest.Pytester, chosen: str) -> None:
    project.makepyfile("def test_plain(): pass")
    project.makeconftest(
        """
        import sys

        HEAVY = {"torch", "numpy", "transformers", "onnx", "onnxruntime", "openvino", "optimum", "nncf"}

        def pytest_unconfigure():
            print("imported:", sorted(HEAVY & set(sys.modules)))
        """
    )
    options = [chosen, "--cpu-missing=skip"] if chosen else []
    result = project.runpytest_subprocess("-p", "no:benchmark", *options, "--co", "-q")
    assert "imported: []" in result.outlines


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest_cpuaccel; from pytest_cpuaccel import *; "
        "print({'torch', 'numpy', 'transformers', 'onnxruntime', 'openvino'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "set()\n"
