"""Where torch is missing or broken: tests that need none pass, and those that need it say so in one line each."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ABSENT = """
import sys
from importlib import metadata

def version(name, of=metadata.version):
    if name == "torch": raise metadata.PackageNotFoundError(name)
    return of(name)

metadata.version = version
sys.modules["torch"] = None
"""
BROKEN = """
import sys
from importlib import metadata

metadata.version = lambda name, of=metadata.version: "2.9.0" if name == "torch" else of(name)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch": raise ERROR

sys.meta_path.insert(0, Finder())
"""
STATES = {
    "absent": (ABSENT, 'eager: torch is not installed; pip install "torch>=2.8"'),
    "import error": (
        BROKEN.replace("ERROR", "ImportError('undefined symbol: iJIT')"),
        "eager: torch is installed but does not import: ImportError: undefined symbol: iJIT",
    ),
    "no library": (
        BROKEN.replace("ERROR", "OSError('libgomp.so.1: cannot open shared object file')"),
        "eager: torch is installed but does not import: OSError: libgomp.so.1: cannot open shared object file",
    ),
    "shadowed": (
        BROKEN + "sys.modules['torch'] = type(sys)('torch')",
        "eager: torch is installed but does not import: ImportError: cannot import name 'nn' from 'torch' (*",
    ),
}
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def eager_model():
    import torch

    return torch.nn.Identity()
"""
TESTS = """
import unittest, pytest

def test_plain(): pass

@pytest.mark.parity
def test_parity(cpu_model): pass

def test_unmarked(cpu_model): pass

@pytest.mark.parity
def test_accelerate(cpu_accelerate): pass

@pytest.mark.latency_budget(speedup=1.1)
def test_latency(cpu_model): pass

@pytest.mark.latency_budget(speedup=1.1, vs="bf16")
def test_versus(cpu_model): pass

@pytest.mark.accuracy_budget(max_drop="1%")
def test_scores(score_items): pass

class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def model(self, cpu_model): pass

    def test_it(self): pass

def test_asking(request): request.getfixturevalue("cpu_model")

def test_plain_last(): pass
"""
NEEDING_TORCH = 8


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_cpuaccel.plugin.hooks")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=TESTS)
    return pytester


def run(project: pytest.Pytester, state: str, *args: str) -> pytest.RunResult:
    project.makepyfile(state=STATES[state][0])
    return project.runpytest_subprocess("-p", "state", *args)


@pytest.mark.parametrize("state", STATES)
def test_each_test_that_needs_torch_says_so_in_one_line(project: pytest.Pytester, state: str) -> None:
    result = run(project, state, f"--cpu-report=r.json,r.md{',r.html' * bool(find_spec('jinja2'))}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["errors"] + outcomes["failed"]) == (2, NEEDING_TORCH)
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_cpuaccel/*.py:*")
    bodies = [
        line for line in result.outlines if "eager: torch is" in line and not line.startswith(("ERROR", "FAILED"))
    ]
    assert len(bodies) == NEEDING_TORCH
    assert all(fnmatchcase(body[body.index("eager") :], STATES[state][1]) for body in bodies)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ("ort", 'ort: torch is not installed; pip install "torch>=2.8" * (--cpu-missing=skip runs the others)'),
        ("eager", 'eager: torch is not installed; pip install "torch>=2.8" (--cpu-missing=skip runs the others)'),
        ("all", "'all' matches no installed backend: eager: torch is not installed; *"),
    ],
)
def test_a_backend_that_is_named_ends_the_run_in_one_line(project: pytest.Pytester, names: str, line: str) -> None:
    result = run(project, "absent", f"--cpu-backends={names}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (found,) = (line for line in result.errlines if line)
    pytest.LineMatcher([found]).fnmatch_lines([f"ERROR: cpuaccel: --cpu-backends: {line}"])


def test_what_is_missing_may_be_skipped(project: pytest.Pytester) -> None:
    outcomes = run(project, "absent", "--cpu-backends=eager", "--cpu-missing=skip").parseoutcomes()
    assert outcomes == {"passed": 2, "skipped": NEEDING_TORCH}


def test_a_test_that_takes_the_backend_alone_needs_torch_only_if_the_backend_does(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        from pytest_cpuaccel import Backend

        def pytest_cpuaccel_backends(config):
            return [Backend(name=name, summary=name, load=print) for name in ("one", "two")]
        """
    )
    project.makepyfile(test_it="def test_it(cpu_backend): assert cpu_backend.name in ('one', 'two')")
    run(project, "absent", "--cpu-backends=one,two").assert_outcomes(passed=2)
    run(project, "absent").assert_outcomes(errors=1)


@pytest.mark.parametrize(("arguments", "exit_code"), [("'doctor'", 0), ("'doctor', '--aa'", 2)])
def test_the_doctor_says_what_is_missing(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: str, exit_code: int
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    project.makepyfile(state=ABSENT)
    result = project.run(
        sys.executable,
        "-c",
        f"import state, sys; from pytest_cpuaccel.cli.main import main; sys.exit(main([{arguments}]))",
    )
    assert result.ret == exit_code
    result.stdout.fnmatch_lines(['eager *; missing: torch is not installed; pip install "torch>=2.8"'])
    if exit_code:
        assert result.errlines == [
            f"cpuaccel doctor: --aa races PyTorch models; {STATES['absent'][1]}",
        ]
