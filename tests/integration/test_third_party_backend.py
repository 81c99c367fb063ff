"""A backend that a user or a package adds: what it takes, and what is refused."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from pytest_cpuaccel.conformance import PROMISES, Promise
from tests.integration.conftest import ROOT
from tests.integration.test_selection import refusal

PACKAGE = ROOT / "tests" / "third_party"
PAGE = ROOT / "docs" / "writing-a-backend.md"

CONFTEST = """
import pytest
from torch import nn

from tests import models


@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    import torch
    from pytest_cpuaccel import Backend, BuiltModel, Precision

    def load(subject, folder):
        model = subject.fresh_module().to(torch.float16)

        def forward(x):
            return model(x.half()).float()

        return BuiltModel(forward, threads=torch.get_num_threads())

    return [Backend(name="half", summary="fp16", load=load, precision=Precision.BF16)]


@pytest.fixture
def eager_model():
    return models.mlp()
"""
TEST = """
import pytest, torch

@pytest.mark.parity
def test_call(cpu_model):
    cpu_model(torch.ones(2, 16))
"""


def test_a_backend_of_twenty_lines_is_chosen_built_and_judged(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(TEST)
    result = project.runpytest_inprocess("-v", "--cpu-backends=half")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["cpuaccel: half", "*test_call[[]half[]] PASSED*", "Mlp *forward 2x16 *half *PASS"])


def test_a_conftest_with_the_hook_works_where_the_plugin_is_off(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    project.makeconftest(CONFTEST)
    project.makepyfile("def test_plain(): pass")
    project.runpytest_subprocess("-p", "no:cpuaccel").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("[EAGER]", "pytest_cpuaccel_backends: the name 'eager' is taken; choose another"),
        ("[MINE, MINE]", "pytest_cpuaccel_backends: the name 'mine' is taken; choose another"),
        ("[replace(MINE, name='all')]", "pytest_cpuaccel_backends: the name 'all' is taken; choose another"),
        ("[replace(MINE, name='m*')]", "pytest_cpuaccel_backends: 'm*' is no name; use letters, digits, *"),
        ("[replace(MINE, name='../mine')]", "pytest_cpuaccel_backends: '../mine' is no name; use letters, digits, *"),
        ("[replace(MINE, name='a/b')]", "pytest_cpuaccel_backends: 'a/b' is no name; use letters, digits, *"),
        ("[replace(MINE, name='..')]", "pytest_cpuaccel_backends: '..' is no name; use letters, digits, *"),
        ("['mine']", "pytest_cpuaccel_backends: 'mine' is not a Backend; return a list of Backend values"),
        ("MINE", "pytest_cpuaccel_backends: * is not a list; return a list of Backend values"),
    ],
)
def test_what_is_no_list_of_new_backends_is_refused(project: pytest.Pytester, returned: str, words: str) -> None:
    project.makeconftest(
        f"""
        from dataclasses import replace
        from pytest_cpuaccel.backends.eager import EAGER

        MINE = replace(EAGER, name="mine")

        def pytest_cpuaccel_backends(config):
            return {returned}
        """
    )
    pytest.LineMatcher([refusal(project, "--cpu-backends=eager")]).fnmatch_lines([f"ERROR: cpuaccel: {words}"])


@pytest.fixture
def package(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.Pytester:
    """A project beside which the third party's package is installed."""
    source = shutil.copytree(PACKAGE, tmp_path / "source")
    installed = tmp_path / "installed"
    if importlib.util.find_spec("setuptools") and importlib.util.find_spec("pip"):
        options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(installed))
        subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    else:
        metadata = installed / "pytest_cpuaccel_half-1.0.dist-info"
        metadata.mkdir(parents=True)
        metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: pytest-cpuaccel-half\nVersion: 1.0\n")
        metadata.joinpath("entry_points.txt").write_text("[pytest11]\ncpuaccel-half = cpuaccel_half\n")
        shutil.copy(source / "cpuaccel_half.py", installed)
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{project.path / 'site'}", prepend=":")
    return project


def test_an_installed_package_adds_its_backend(package: pytest.Pytester) -> None:
    package.makeconftest(CONFTEST.partition("@pytest.hookimpl")[0] + CONFTEST[CONFTEST.index("@pytest.fixture") :])
    package.makepyfile(TEST)
    result = package.runpytest_subprocess("-v", "--cpu-backends=half")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_call[[]half[]] PASSED*", "Mlp *forward 2x16 *half *fp16 rounding*PASS"])


def test_an_installed_package_certifies_its_backend(package: pytest.Pytester) -> None:
    shutil.copy(PACKAGE / "tests" / "test_contract.py", package.path)
    package.runpytest_subprocess("-q").assert_outcomes(passed=len(PROMISES))


FX = """
import torch
from pytest_cpuaccel import Backend, BuiltModel

def pytest_cpuaccel_backends(config):
    def load(subject, folder):
        return BuiltModel(torch.fx.symbolic_trace(subject.fresh_module()), threads=torch.get_num_threads())

    return [Backend(name="fx", summary="torch.fx", load=load)]
"""
COMMAND = Path(sys.executable).with_name("cpuaccel")


def add_plugin(folder: Path, name: str, code: str) -> None:
    """Install a distribution with a plugin of one module, both named ``name``."""
    metadata = folder / f"{name}-2.0.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    metadata.joinpath("entry_points.txt").write_text(f"[pytest11]\n{name} = {name}\n")
    (folder / f"{name}.py").write_text(code)


def words_of(result: pytest.RunResult) -> str:
    """What the command printed, without line ends."""
    return " ".join(result.stdout.str().split())


def test_the_doctor_shows_backends_of_packages_and_of_a_conftest(package: pytest.Pytester) -> None:
    (package.mkdir("tests") / "conftest.py").write_text(FX)
    result = package.run(COMMAND, "doctor")
    assert result.ret == 0
    assert " half weights in fp16, from pytest-cpuaccel-half 1.0; installed: torch 2." in words_of(result)
    assert " fx torch.fx, from tests/conftest.py; needs nothing" in words_of(result)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nowhere", "can't be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("import sys; sys.exit(3)", "can't be imported: SystemExit: 3"),
        ("import pytest; pytest.skip('not here', allow_module_level=True)", "can't be imported: Skipped: not here"),
        ("pytest_plugins = ['nowhere']", "can't be imported: ModuleNotFoundError: No module named 'nowhere'"),
        (
            "def pytest_cpuaccel_backends(config): return config.rootpath",
            "its pytest_cpuaccel_backends, called without a config of pytest, failed: AttributeError: *'rootpath'",
        ),
        ("def pytest_cpuaccel_backends(): return 3", "pytest_cpuaccel_backends: 3 is not a list; *"),
        (
            "from pytest_cpuaccel.backends.eager import EAGER\ndef pytest_cpuaccel_backends(): return [EAGER]",
            "pytest_cpuaccel_backends: the name 'eager' is taken; choose another",
        ),
    ],
)
def test_a_plugin_that_fails_is_one_line_of_the_doctor(package: pytest.Pytester, code: str, said: str) -> None:
    add_plugin(package.path / "site", "awry", code)
    result = package.run(COMMAND, "doctor")
    assert result.ret == 0
    assert "Traceback" not in result.stderr.str()
    assert fnmatchcase(words_of(result), f"* half weights in fp16, *; tested: * awry 2.0: {said}")


def test_a_plugin_prints_nothing_into_what_the_doctor_prints(package: pytest.Pytester) -> None:
    add_plugin(package.path / "site", "chatty", "print('hello')\nimport warnings; warnings.warn('hello')")
    result = package.run(COMMAND, "doctor")
    assert "hello" not in result.stdout.str()


def test_plugins_named_otherwise_than_by_an_installation_are_shown(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / "mine.py").write_text("pytest_plugins = 'inner'")
    (project.path / "inner.py").write_text(FX)
    monkeypatch.setenv("PYTHONPATH", str(project.path), prepend=":")
    monkeypatch.setenv("PYTEST_PLUGINS", "mine")
    assert " fx torch.fx, from mine; needs nothing" in words_of(project.run(COMMAND, "doctor"))


def test_the_matrix_examines_backends_of_packages_and_of_a_conftest(package: pytest.Pytester) -> None:
    package.makeconftest(FX)
    result = package.run(COMMAND, "matrix", "--architectures=mlp", "--backends=half,f?", "--page=page.md")
    assert [line.split()[:3] for line in result.errlines] == [["mlp", "half", "right"], ["mlp", "fx", "right"]]
    page = (package.path / "page.md").read_text().replace(" ", "")
    assert "|half|yes|\n|fx|yes|" in page


def test_the_matrix_names_a_backend_that_is_nearly_meant(package: pytest.Pytester) -> None:
    result = package.run(COMMAND, "matrix", "--architectures=mlp", "--backends=hlf")
    assert result.ret == 2
    assert result.errlines == ["cpuaccel matrix: --backends: no backend named 'hlf'; did you mean 'half'?"]


def test_the_matrix_goes_on_without_a_plugin_that_fails(package: pytest.Pytester) -> None:
    add_plugin(package.path / "site", "awry", "import nowhere")
    result = package.run(COMMAND, "matrix", "--architectures=mlp", "--backends=half")
    assert result.errlines[0].startswith("cpuaccel matrix: awry 2.0: can't be imported: ModuleNotFoundError: ")
    assert result.errlines[1].split()[:3] == ["mlp", "half", "right"]


def test_the_earlier_name_of_conformance_works_and_names_the_new_one(project: pytest.Pytester) -> None:
    code = "from pytest_cpuaccel.contract import PROMISES, Promise, Sample, observe, samples"
    result = project.run(sys.executable, "-W", "default", "-c", code)
    result.stderr.fnmatch_lines(
        ["<string>:1: DeprecationWarning: pytest_cpuaccel.contract is now called pytest_cpuaccel.conformance; *"]
    )
    assert result.ret == 0


def test_a_backend_that_does_not_tell_its_threads_is_told_how(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST.replace("threads=torch.get_num_threads()", "facts={}"))
    project.makepyfile(TEST)
    result = project.runpytest_inprocess("--cpu-backends=half")
    result.assert_outcomes(failed=1)
    words = "half: its build doesn't tell on how many threads it runs; give BuiltModel(..., threads=...)"
    result.stdout.fnmatch_lines([words, "  at *.py:5"])


def test_a_backend_that_tells_its_threads_among_its_facts_is_still_taken(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST.replace("threads=torch.get_num_threads()", '{"threads": torch.get_num_threads()}'))
    project.makepyfile(TEST)
    project.runpytest_inprocess("--cpu-backends=half").assert_outcomes(passed=1)


@pytest.mark.parametrize("file", ["cpuaccel_half.py", "pyproject.toml", "tests/test_contract.py"])
def test_the_page_shows_the_package_as_it_is(file: str) -> None:
    assert (PACKAGE / file).read_text() in PAGE.read_text()


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_the_page_lists_every_promise(promise: Promise) -> None:
    assert f"| `{promise}` | {promise.statement} |" in PAGE.read_text()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('raise ValueError("mine")', "ValueError: mine"),
        ("from pytest_cpuaccel import Backend; return [Backend('x', 'y', None)]", "TypeError: *"),
    ],
)
def test_an_error_in_the_hook_ends_the_run_with_its_own_traceback(
    project: pytest.Pytester, body: str, said: str
) -> None:
    project.makeconftest(f"def pytest_cpuaccel_backends(config):\n    {body}")
    project.makepyfile("def test_it(): pass")
    result = project.runpytest_subprocess("--cpu-backends=eager")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: cpuaccel: conftest.py: pytest_cpuaccel_backends raised {said}", "*conftest.py*"]
    )
    for word in ("INTERNALERROR", "pytest_cpuaccel/", "pluggy"):
        assert word not in result.stderr.str() + result.stdout.str().partition("plugins:")[0]
