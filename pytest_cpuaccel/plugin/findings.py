"""A test's findings: kept in its stash, and carried to the reporter by pytest's reports of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cpuaccel.core.errors import BackendUnavailableError, CpuaccelError, is_refusal
from pytest_cpuaccel.plugin.fixture_names import uses_backend
from pytest_cpuaccel.plugin.stash import EVALUATED_TEST

if TYPE_CHECKING:
    from pytest_cpuaccel.report.ending import Ending
    from pytest_cpuaccel.report.findings import Findings

ATTRIBUTE = "cpuaccel"
"""The attribute of a pytest report that holds them; xdist sends it along."""

_FINDINGS: pytest.StashKey[Findings] = pytest.StashKey()


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
        findings.ending = Ending("error", "the run was interrupted")
    return findings


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
    if call.when == "setup":
        _begin(item, findings)
    if call.excinfo is not None:
        findings.ending = _ending(call.excinfo, call.when, findings)
    elif call.when == "call":
        findings.ending = None
    _name(item, findings)
    setattr(report, ATTRIBUTE, findings.as_plain())
    return report


def _begin(item: pytest.Item, findings: Findings) -> None:
    from pytest_cpuaccel.report.properties import is_of_result

    findings.results, findings.ending = [], None
    item.user_properties[:] = [found for found in item.user_properties if not is_of_result(found[0])]


def _ending(excinfo: pytest.ExceptionInfo[BaseException], when: str, findings: Findings) -> Ending | None:
    """How the exception ended the test; None where a verdict did, which the results hold."""
    from pytest_cpuaccel.plugin.unsupported import UnsupportedSkip
    from pytest_cpuaccel.report.ending import Ending

    raised = excinfo.value
    if isinstance(raised, UnsupportedSkip):
        return Ending("refused", str(raised.refusal))
    ours = _error_of_ours(raised)
    if ours is not None:
        refused = is_refusal(ours) or isinstance(ours, BackendUnavailableError)
        return Ending("refused" if refused else "error", str(ours))
    if isinstance(raised, (pytest.fail.Exception, pytest.skip.Exception)) and when == "call" and findings.results:
        return None
    if isinstance(raised, (pytest.skip.Exception, pytest.xfail.Exception)):
        return Ending("skipped", str(raised.msg))
    return Ending("failed" if when == "call" else "error", excinfo.exconly(tryshort=True).partition("\n")[0])


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
