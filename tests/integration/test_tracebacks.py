"""Whose errors a failed test shows: the user's own as they are, a backend's as one line with its cause at hand."""

from __future__ import annotations

import sys

import pytest

CONFTEST = """
from dataclasses import replace
import pytest, torch
from tests import doubles, models

def lenient(subject, folder):
    built = doubles.TWIN.load(subject, folder)
    return replace(built, forward=lambda x: torch.zeros(len(x), 4))

@pytest.hookimpl(optionalhook=True)
def pytest_cpuaccel_backends(config):
    return [*doubles.BACKENDS, replace(doubles.TWIN, name="lenient", load=lenient)]

class TooMany(Exception):
    pass

class Picky(models.Mlp):
    def forward(self, x):
        if len(x) > 2:
            raise TooMany("at most two rows")
        return super().forward(x)

@pytest.fixture
def eager_model():
    return Picky().eval()
"""
HEAD = """
import pytest, torch
from conftest import TooMany

def ask(model, rows):
    asked = "in a helper"
    return model(torch.ones(rows, 16))
"""


@pytest.fixture
def picky(project: pytest.Pytester) -> pytest.Pytester:
    """A project with a model that takes two rows at most, and a backend that takes more."""
    project.makeconftest(CONFTEST)
    return project


@pytest.mark.parametrize(
    ("backend", "body", "in_the_body"),
    [
        ("twin", "ask(cpu_model, 3)", True),
        ("raising", "ask(cpu_model, 3)", True),
        ("twin", "ask(cpu_model, 2), ask(cpu_model, 3)", True),
        ("lenient", "ask(cpu_model, 2), ask(cpu_model, 3)", False),
        ("twin", "score_items(lambda model, rows: ask(model, rows).sum(), [2, 3])", True),
        ("lenient", "score_items(lambda model, rows: ask(model, rows).sum(), [2, 3])", True),
    ],
)
def test_an_error_of_the_users_own_model_keeps_type_and_traceback(
    picky: pytest.Pytester, backend: str, body: str, in_the_body: bool
) -> None:
    picky.makepyfile(
        test_it=f"""{HEAD}
@pytest.mark.parity
def test_it(cpu_model, score_items):
    {body}
"""
    )
    result = picky.runpytest_inprocess(f"--cpu-backends={backend}", "--tb=short", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    lines = [
        "conftest.py:*: in forward",
        '    raise TooMany("at most two rows")',
        "E   conftest.TooMany: at most two rows",
    ]
    if in_the_body:
        lines = ["test_it.py:*: in test_it", "test_it.py:*: in ask", *lines]
    result.stdout.fnmatch_lines(lines)
    result.stdout.no_fnmatch_line("*pytest_cpuaccel*")
    result.stdout.no_fnmatch_line("*another exception*")


def test_an_error_of_the_users_own_model_can_be_expected(picky: pytest.Pytester) -> None:
    picky.makepyfile(
        test_it=f"""{HEAD}
@pytest.mark.parity
def test_it(cpu_model):
    ask(cpu_model, 1)
    with pytest.raises(TooMany) as caught:
        ask(cpu_model, 3)
    assert caught.value.__context__ is caught.value.__cause__ is None
"""
    )
    picky.runpytest_inprocess("--cpu-backends=twin").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "shown"),
    [((), False), (("-v",), False), (("-vv",), True), (("--tb=long",), True), (("-vv", "-n1"), True)],
)
def test_what_was_raised_inside_a_backend_is_shown_on_request(
    picky: pytest.Pytester, options: tuple[str, ...], shown: bool
) -> None:
    if "-n1" in options:
        pytest.importorskip("xdist")
    picky.makepyfile(test_it=f"{HEAD}\n@pytest.mark.parity\ndef test_it(cpu_model):\n    ask(cpu_model, 2)\n")
    run = picky.runpytest_subprocess if "-n1" in options else picky.runpytest_inprocess
    result = run("--cpu-backends=raising", *options)
    result.stdout.fnmatch_lines(
        ["raising: raises where eager does not: RuntimeError: kernel failed", "  at test_it.py:6"]
    )
    if shown:
        result.stdout.fnmatch_lines(["*cpuaccel: cause*", "Traceback *", "RuntimeError: kernel failed"])
    else:
        result.stdout.no_fnmatch_line("*cpuaccel: cause*")
        result.stdout.no_fnmatch_line("Traceback *")


@pytest.mark.parametrize(
    ("backend", "commands", "lines"),
    [
        ("off", "p answer.shape", ["> *test_it.py(*)test_it()", "*torch.Size([[]2, 4[]])"]),
        ("raising", "p asked", ["> *test_it.py(*)ask()", "*'in a helper'"]),
        ("refusing", "p asked", ["> *test_it.py(*)ask()", "*'in a helper'"]),
    ],
)
def test_a_debugger_stops_in_the_test(picky: pytest.Pytester, backend: str, commands: str, lines: list[str]) -> None:
    picky.makepyfile(test_it=f"{HEAD}\n@pytest.mark.parity\ndef test_it(cpu_model):\n    answer = ask(cpu_model, 2)\n")
    result = picky.run(
        sys.executable, "-m", "pytest", "--pdb", f"--cpu-backends={backend}", stdin=f"{commands}\nq\n".encode()
    )
    result.stdout.fnmatch_lines(lines)
