"""Tests keep the order that pytest itself gives them, and what they share is set up as often as by pytest itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

OURS = """
import pytest
from pytest_cpuaccel import Backend

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config): return [Backend(name=name, summary=name, load=print) for name in "abc"]
"""
PARAMETRIZED = """
import pytest

@pytest.fixture(scope="session", params=PARAMS)
def cpu_backend(request): return request.param
"""
PLAIN = """
import pytest

@pytest.fixture(scope="session")
def cpu_backend(): return "a"
"""
SHARED = """
from pathlib import Path

def note(text):
    with Path("log").open("a") as log: log.write(text + "\\n")

def pytest_runtest_setup(item):
    values = sorted(str(value) for value in item.callspec.params.values()) if hasattr(item, "callspec") else []
    note(f"{item.path.stem} {item.originalname} {[value for value in values if value != ONLY]}")

@pytest.fixture(scope="session")
def of_session(): note("setup session")

@pytest.fixture(scope="package")
def of_package(): note("setup package")

@pytest.fixture(scope="module")
def of_module(): note("setup module")

@pytest.fixture(scope="class")
def of_class(): note("setup class")

@pytest.fixture(scope="module")
def on_backend(cpu_backend): note("setup module on backend")

@pytest.fixture(scope="session")
def session_on_backend(cpu_backend): note("setup session on backend")

@pytest.fixture(scope="module", params=[1, 2])
def of_module_twice(request): note("setup module twice")

@pytest.fixture(scope="session", params=[3, 4])
def of_session_twice(request): note("setup session twice")
"""
COMMON = """
import pytest, unittest

def test_plain_first(of_session, of_module): pass

def test_one(cpu_backend, of_session, of_package, of_module, session_on_backend): pass

class TestIt:
    def test_in_class(self, cpu_backend, of_class): pass
    def test_plain_in_class(self, of_class): pass
    def test_last_in_class(self, cpu_backend, of_class): pass

class TestCase(unittest.TestCase):
    def test_case(self): pass

@pytest.mark.parametrize("number", [7, 8])
def test_numbers(number, cpu_backend, on_backend): pass

def test_plain_amid(of_module): pass

def test_last(cpu_backend, of_module): pass
"""
TWICE = """
def test_module_twice(cpu_backend, of_module_twice): pass

def test_session_twice(cpu_backend, of_session_twice): pass
"""


@dataclass(frozen=True)
class Run:
    tests: list[str]
    setups: Counter[str]


def run(project: pytest.Pytester, conftest: str, names: str, *args: str) -> Run:
    """Run the tests; return them in their order, without the name of an only backend, and how often was set up what."""
    log = project.path / "log"
    log.unlink(missing_ok=True)
    only = repr(names if len(names) == 1 else None)
    project.makeconftest(conftest.replace("PARAMS", repr([*names])) + SHARED.replace("ONLY", only))
    assert project.runpytest_subprocess(*args).ret == 0
    lines = log.read_text().splitlines()
    setups = Counter(line for line in lines if line.startswith("setup "))
    return Run([line for line in lines if line not in setups], setups)


def ours_and_pytests(project: pytest.Pytester, names: str, *args: str) -> tuple[Run, Run]:
    ours = run(project, OURS, names, f"--cpu-backends={','.join(names)}", *args)
    return ours, run(project, PARAMETRIZED if len(names) > 1 else PLAIN, names, *args)


@pytest.mark.parametrize("tests", [COMMON, COMMON + TWICE], ids=["common", "users parameters"])
@pytest.mark.parametrize("names", ["a", "ab", "ba", "abc"])
def test_the_order_is_pytests_own(project: pytest.Pytester, names: str, tests: str) -> None:
    project.makepyfile(test_x=tests, test_y=tests)
    ours, pytests = ours_and_pytests(project, names)
    assert ours.tests == pytests.tests
    assert ours.setups == pytests.setups


@pytest.mark.parametrize("names", ["a", "ab"])
def test_the_order_of_node_ids_is_pytests_own(project: pytest.Pytester, names: str) -> None:
    project.makepyfile(test_x=COMMON, test_y=COMMON)
    nodes = ["test_y.py::test_last", "test_x.py::test_one", "test_y.py::test_plain_first", "test_x.py::TestIt"]
    ours, pytests = ours_and_pytests(project, names, *nodes)
    assert ours.tests == pytests.tests


def test_the_order_of_a_worker_is_pytests_own(project: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    project.makepyfile(test_x=COMMON, test_y=COMMON)
    ours, pytests = ours_and_pytests(project, "ab", "-n1")
    assert ours.tests == pytests.tests


def test_under_eager_alone_tests_run_in_the_order_in_which_they_stand(project: pytest.Pytester) -> None:
    project.makepyfile(test_x=COMMON)
    found = run(project, PLAIN.partition("@")[0], "eager").tests
    names = [line.split()[1] for line in COMMON.splitlines() if line.strip().startswith("def test")]
    expected = [name.partition("(")[0] for name in names]
    assert list(dict.fromkeys(test.split()[1] for test in found)) == expected


FAILING = "def test_failing(cpu_backend): assert False\n"


@pytest.mark.parametrize("names", ["a", "ab"])
def test_failed_first_puts_the_failed_first(project: pytest.Pytester, names: str) -> None:
    project.makepyfile(test_x=COMMON, test_y=COMMON + FAILING)
    project.makeconftest(OURS + SHARED.replace("ONLY", "None"))
    project.runpytest_subprocess(f"--cpu-backends={','.join(names)}")
    (project.path / "log").unlink()
    project.runpytest_subprocess(f"--cpu-backends={','.join(names)}", "--ff")
    lines = (project.path / "log").read_text().splitlines()
    assert lines[: len(names)] == [f"test_y test_failing ['{name}']" for name in names]


def test_tests_of_one_backend_stay_together_where_some_leave_others_out(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_x="""
        import pytest

        @pytest.mark.cpu_backends("c")
        def test_one(cpu_backend): pass

        def test_two(cpu_backend): pass

        @pytest.mark.cpu_backends(exclude="b")
        def test_three(cpu_backend): pass
        """
    )
    tests = run(project, OURS, "abc", "--cpu-backends=a,b,c").tests
    backends = [test.split()[2] for test in tests]
    assert backends == sorted(backends, key=[*dict.fromkeys(backends)].index)


def test_a_test_that_runs_under_no_backend_is_not_moved(project: pytest.Pytester) -> None:
    skipped = '@pytest.mark.cpu_backends("eager")\ndef test_skipped(cpu_backend): pass\n'
    text = f"import pytest\n\ndef test_first(of_module): pass\n\n{skipped}\ndef test_last(of_module): pass\n"
    project.makepyfile(test_x=text, test_y=text)
    found = run(project, OURS, "ab", "--cpu-backends=a,b")
    assert found.setups["setup module"] == 2
