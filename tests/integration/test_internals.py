"""A release that lacks a name which we need: one line, not a traceback."""

from __future__ import annotations

import pytest

from pytest_cpuaccel.core import internals
from pytest_cpuaccel.core.internals import EVERY_RUN, Internal
from tests.integration.test_third_party_backend import CONFTEST, TEST

SAID = "torch * has no torch.gone, which is needed to add numbers; it was seen in torch 2.8.0: install one of these *"


def run(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *backends: str) -> pytest.RunResult:
    gone = Internal("torch", "torch.gone", "add numbers", "2.8.0", backends=backends)
    monkeypatch.setattr(internals, "INTERNALS", (gone,))
    project.makeconftest(CONFTEST)
    project.makepyfile(TEST)
    return project.runpytest_inprocess("--cpu-backends=half")


@pytest.mark.parametrize(
    ("backends", "line", "outcome"), [(EVERY_RUN, f"*{SAID}", "errors"), (("half",), f"half: {SAID}", "failed")]
)
def test_it_is_told_in_one_line(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, backends: tuple[str, ...], line: str, outcome: str
) -> None:
    result = run(project, monkeypatch, *backends)
    assert result.parseoutcomes() == {outcome: 1}
    result.stdout.fnmatch_lines([line])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*internals.py*")


def test_a_backend_that_does_not_need_it_runs(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, monkeypatch, "quarter").assert_outcomes(passed=1)
