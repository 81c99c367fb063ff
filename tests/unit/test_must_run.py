"""What an environment of tox declares to run, and doesn't."""

from __future__ import annotations

import pytest

from tests.must_run import names_in

CONFTEST = """
from tests.must_run import MustRun

def pytest_configure(config):
    config.pluginmanager.register(MustRun(["half"]))
"""


def outcome(pytester: pytest.Pytester, reason: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(f"import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n")
    return pytester.runpytest_inprocess()


def test_one_that_is_skipped_for_what_is_missing_fails_the_run_in_one_line(pytester: pytest.Pytester) -> None:
    reason = 'half: whole is not installed; pip install "whole"'
    result = outcome(pytester, reason)
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"ERROR: CPUACCEL_MUST_RUN: must run here, and was skipped: {reason}" in result.outlines


@pytest.mark.parametrize("reason", ["half: can't be traced", 'third: whole is not installed; pip install "whole"'])
def test_what_is_skipped_for_another_reason_or_of_another_backend_does_not(
    pytester: pytest.Pytester, reason: str
) -> None:
    assert outcome(pytester, reason).ret == pytest.ExitCode.OK


def test_one_that_is_not_installed_ends_the_run_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.0")
    with pytest.raises(pytest.UsageError, match=r"^CPUACCEL_MUST_RUN: must run here: eager: torch 1\.0 is installed, "):
        names_in("eager")


def test_a_glob_names_all_that_it_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_cpuaccel.backends.requirements.unmet_requirement", lambda _: None)
    assert names_in("channels-last, torchscript*,,") == ["channels-last", "torchscript", "torchscript-optimized"]
    assert names_in("") == []


def test_a_name_that_no_backend_has_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match="no backend named 'orth'"):
        names_in("orth")
