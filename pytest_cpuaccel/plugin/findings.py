"""A test's findings: kept in its stash, and carried to the reporter by pytest's reports of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError, is_refusal
from pytest_cpuaccel.plugin.fixture_names import uses_backend
from pytest_cpuaccel.plugin.stash import EVALUATED_TEST

if TYPE_CHECKING:
    from pytest_cpuaccel.report.ending import Ending
    from pytest_cpuaccel.report.findings import Findings

ATTRIBUTE = "cpuaccel"
"""The attribute of a pytest report that holds them; xdist sends it along."""

_FINDINGS: pytest.StashKey[Findings] = pytest.StashKey()
_BODY_IS_OVER = pytest.StashKey[bool]()
_FAILED_SUBTESTS = pytest.StashKey[list[str]]()
"""The reasons of a test's subtests that failed."""


def findings_for(item: pytest.Item) -> Findings:
    """Return a test's findings, without any if it has none yet."""
    from pytest_cpuaccel.report.findings import Findings

    return item.stash.setdefault(_FINDINGS, Findings())


def uses_backends(item: pytest.Item) -> bool:
    """Tell whether a test uses a backend, as far as is known by now."""
    return uses_backend(item) or EVALUATED_TEST in item.stash or _FINDINGS in item.stash


def when_interrupted(item: pytest.Item) -> Findings:
    """Return what was found of a test until its run was interrupted."""
    from pytest_cpuaccel.report.ending import Ending

    findings = findings_for(item)
    _name(item, findings)
    if not findings.results:
        findings.endings = [Ending("error", "the run was interrupted")]
    return findings


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Know that the body runs: a report that is made meanwhile is a subtest's."""
    item.stash[_FAILED_SUBTESTS], item.stash[_BODY_IS_OVER] = [], False
    try:
        return (yield)
    finally:
        item.stash[_BODY_IS_OVER] = True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the findings of a test that uses a backend, or that we refuse, into its report.

    A test that is tried again begins without any.
    """
    report = yield
    if not (uses_backends(item) or (call.excinfo is not None and _error_of_ours(call.excinfo.value))):
        return report
    findings = findings_for(item)
    if call.when == "call" and not item.stash[_BODY_IS_OVER]:
        if report.failed and call.excinfo is not None:
            item.stash[_FAILED_SUBTESTS].append(_first_line(call.excinfo))
        return report
    if call.when == "setup":
        _begin(item, findings)
    ending = _ending(item, call, report)
    if call.when == "teardown":
        findings.endings += [ending] if ending else []
    else:
        findings.endings = [ending] if ending else []
    _name(item, findings)
    setattr(report, ATTRIBUTE, findings.as_plain())
    return report


def _begin(item: pytest.Item, findings: Findings) -> None:
    from pytest_cpuaccel.report.properties import is_of_result

    findings.results, findings.endings, findings.needs = [], [], {}
    item.user_properties[:] = [found for found in item.user_properties if not is_of_result(found[0])]


def _ending(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Ending | None:
    """How the phase ended the test; None where it went on, or where a verdict ended it, which the results hold."""
    from pytest_cpuaccel.report.ending import Ending

    if call.excinfo is not None:
        return _ending_by(item, call.excinfo, call.when)
    if call.when != "call":
        return None
    if item.stash[_FAILED_SUBTESTS]:
        return Ending("failed", f"a subtest failed: {item.stash[_FAILED_SUBTESTS][0]}")
    return Ending("failed", str(report.longrepr).partition("\n")[0]) if report.failed else None


def _ending_by(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], when: str) -> Ending | None:
    from pytest_cpuaccel.plugin.failures import is_verdict
    from pytest_cpuaccel.plugin.unsupported import UnsupportedSkip
    from pytest_cpuaccel.report.ending import Ending

    raised = excinfo.value
    if isinstance(raised, UnsupportedSkip):
        return Ending("refused", str(raised.refusal))
    ours = _error_of_ours(raised)
    if ours is not None:
        return Ending("refused" if is_refusal(ours) else "error", str(ours).removeprefix(f"{item.nodeid}: "))
    if is_verdict(raised) or (isinstance(raised, pytest.xfail.Exception) and findings_for(item).results):
        return None  # of an expected failure unittest keeps no exception
    if isinstance(raised, pytest.xfail.Exception):
        return Ending("failed", str(raised.msg) or "as was expected")
    if isinstance(raised, pytest.skip.Exception):
        return Ending("skipped", str(raised.msg))
    return Ending("failed" if when == "call" else "error", _first_line(excinfo))


def _first_line(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    return excinfo.exconly(tryshort=True).partition("\n")[0]


def _error_of_ours(raised: BaseException) -> CpuaccelError | None:
    """Return the error of ours that an exception is, or that a failure tells of."""
    found = raised if isinstance(raised, CpuaccelError) else raised.__context__
    is_told = isinstance(raised, (CpuaccelError, pytest.fail.Exception))
    return found if is_told and isinstance(found, CpuaccelError) else None


def _name(item: pytest.Item, findings: Findings) -> None:
    findings.backend, findings.model = _backend(item) or findings.backend, _model(item) or findings.model


def _backend(item: pytest.Item) -> str:
    if EVALUATED_TEST in item.stash:
        return item.stash[EVALUATED_TEST].models.backend.name
    if not uses_backend(item):
        return ""
    from pytest_cpuaccel.plugin.parametrize import NO_BACKEND, backend_name
    from pytest_cpuaccel.plugin.unparametrized import sole_backend

    try:
        name = backend_name(item) or sole_backend(item).name
    except CpuaccelError:
        return ""
    return "" if name == NO_BACKEND else name


def _model(item: pytest.Item) -> str:
    return item.stash[EVALUATED_TEST].models.label if EVALUATED_TEST in item.stash else ""


def carried(report: pytest.TestReport) -> dict[str, Any] | None:
    """Return the findings that a report carries, as plain values."""
    return getattr(report, ATTRIBUTE, None)
