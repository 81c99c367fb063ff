"""Tracebacks without the plugin's frames, and the causes of backends' errors."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from pathlib import Path
from types import FrameType, TracebackType

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError
from pytest_cpuaccel.core.frames import chained, entries, is_ours

REASON = "cpuaccel_reason"
"""The attribute of a failure that holds its reason, in so few words that they fit pytest's short summary."""
CAUSE = "cpuaccel: cause"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let pytest's short summary begin with the reason of a failure of ours.

    Show the exception of the backend below a failure's one line, if the user asks for all details.
    """
    report = yield
    reason, shown = (
        getattr(getattr(call.excinfo, "value", None), REASON, ""),
        getattr(report.longrepr, "reprcrash", None),
    )
    if reason and shown is not None:
        shown.message = reason
    if call.excinfo is not None and _shows_all(item.config):
        cause = _cause_of(call.excinfo.value)
        if cause is not None:
            report.sections.append((CAUSE, "".join(traceback.format_exception(cause))))
    return report


def to_the_test(frames: TracebackType | None, path: Path) -> TracebackType | None:
    """Return the part of a traceback from the test, in the file ``path``, to its call of the plugin.

    None if the error did not come from the test.
    """
    found: list[TracebackType] = []
    for entry in entries(frames):
        if found and is_ours(entry):
            return chained(found)
        if found or entry.tb_frame.f_code.co_filename == str(path):
            found.append(entry)
    return chained(found)


def at(frame: FrameType) -> TracebackType:
    """Return a traceback that ends in ``frame``, for an error that was found after it had returned."""
    return TracebackType(None, frame, frame.f_lasti, frame.f_lineno)


def _shows_all(config: pytest.Config) -> bool:
    return config.get_verbosity() >= 2 or config.getoption("tbstyle", None) == "long"


def _cause_of(failure: BaseException) -> BaseException | None:
    """Return the exception of another package that an error of ours reports in one line."""
    error = failure.__context__
    if not isinstance(error, CpuaccelError):
        return None
    cause: BaseException | None = error
    while isinstance(cause, CpuaccelError):
        cause = cause.__cause__
    return cause
