"""Tests of models that their backend refuses, skipped: a plugin that is registered under ``--cpu-unsupported=skip``.

What was called before the refusal is judged first, so that a skip hides no wrong answer.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Generator

import pytest

from pytest_cpuaccel.core.errors import is_refusal
from pytest_cpuaccel.core.one_line import one_line
from pytest_cpuaccel.plugin.stash import EVALUATED_TEST, SETTINGS

REFUSAL = pytest.StashKey[BaseException]()
"""The refusal of a ``unittest.TestCase``, which unittest takes as a mere skip."""
_TOLD = pytest.StashKey[list[str]]()
"""The reasons by which a test, and each subtest while its body runs, was skipped."""

_SEVERAL_FAILURES = "MultipleDoctestFailures"
"""The class of pytest's exception for a doctest under ``--doctest-continue-on-failure``."""


class UnsupportedSkip(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """Skips a test because of ``refusal``, the error by which its backend refused the model."""

    def __init__(self, refusal: BaseException) -> None:
        super().__init__(reason_to_skip(refusal))
        self.refusal = refusal


def reason_to_skip(refusal: BaseException) -> str:
    """Return the reason by which reports tell such a skip."""
    return f"unsupported: {one_line(str(refusal))}"


def skips(config: pytest.Config, error: BaseException) -> bool:
    """Tell whether a test that raised ``error`` is skipped: a refusal is, where the settings say so."""
    return config.stash[SETTINGS].unsupported == "skip" and is_refusal(error)


def refusal_in(raised: BaseException) -> BaseException | None:
    """Return the refusal that ended a test; None where something else did. Of a doctest, its first failure counts."""
    if isinstance(raised, UnsupportedSkip):
        return raised.refusal
    if type(raised).__name__ == _SEVERAL_FAILURES:
        raised = getattr(raised, "failures", [raised])[0]
    doctest = sys.modules.get("doctest")
    if doctest is not None and isinstance(raised, doctest.UnexpectedException):
        raised = raised.exc_info[1]
    return raised if is_refusal(raised) else None


@pytest.hookimpl(wrapper=True, trylast=True)  # within the capture of what is printed
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Judge what a fixture called before it was refused."""
    return (yield from _judged_first(item))


@pytest.hookimpl(wrapper=True, trylast=True)  # within the capture of what is printed
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge what the test called before it was refused. Note refused subtests, which pytest does not always show."""
    told = item.stash[_TOLD] = []
    try:
        return (yield from _judged_first(item))
    finally:
        from pytest_cpuaccel.plugin.findings import findings_for

        for reason, count in Counter(told).items():
            subtests = f"{count} subtests were" if count > 1 else "a subtest was"
            findings_for(item).notes.append(f"{item.nodeid}: {subtests} skipped, {reason}")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Let a fixture that is refused skip its tests, before the refusal is taken for a failure."""
    try:
        return (yield)
    except Exception as raised:
        if not is_refusal(raised):
            raise
        skip = UnsupportedSkip(raised).with_traceback(raised.__traceback__)
    raise skip


@pytest.hookimpl(specname="pytest_runtest_makereport")
def pytest_runtest_makereport_of_refusal(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Report a refusal as a skip, whichever phase of a test raised it."""
    raised = None if call.excinfo is None else call.excinfo.value
    from_test_case = item.stash.get(REFUSAL, None) if isinstance(raised, pytest.skip.Exception) else None
    refusal = from_test_case or (raised and refusal_in(raised))
    if refusal is not None:
        skip = UnsupportedSkip(refusal).with_traceback(refusal.__traceback__)
        call.excinfo = pytest.ExceptionInfo.from_exception(skip)
        item.stash.setdefault(_TOLD, []).append(str(skip.msg))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show such a skip at the line of the test that led to it, not at ours. Note which backend ran a test."""
    report = yield
    skip = None if call.excinfo is None else call.excinfo.value
    if isinstance(skip, UnsupportedSkip):
        report.longrepr = (*_place(skip.refusal, item), f"Skipped: {skip.msg}")
    else:
        from pytest_cpuaccel.plugin.ran_backends import note_backend

        note_backend(item, report)
    return report


def _judged_first(item: pytest.Item) -> Generator[None, object, object]:
    try:
        return (yield)
    except BaseException as raised:
        if EVALUATED_TEST in item.stash and refusal_in(raised) is not None:
            item.stash[EVALUATED_TEST].evaluate(refused=True)
        raise


def _place(refusal: BaseException, item: pytest.Item) -> tuple[str, int]:
    """Return the file and the line of the test that led to a refusal, or else where the test begins."""
    lines = [frame.lineno for frame in traceback.extract_tb(refusal.__traceback__) if frame.filename == str(item.path)]
    _, begins, _ = item.location
    return str(item.path), (lines[-1] if lines else None) or (begins or 0) + 1
