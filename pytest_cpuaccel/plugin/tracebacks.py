"""Tracebacks without the plugin's frames, and the causes of backends' errors."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError

_OURS = f"{Path(__file__).parents[1]}/"
CAUSE = "cpuaccel: cause"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the exception of the backend below a failure's one line, if the user asks for all details."""
    report = yield
    if call.excinfo is not None and _shows_all(item.config):
        cause = _cause_of(call.excinfo.value)
        if cause is not None:
            report.sections.append((CAUSE, "".join(traceback.format_exception(cause))))
    return report


def without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the plugin's own frames."""
    return _chained(entry for entry in _entries(frames) if not _is_ours(entry))


def to_the_test(frames: TracebackType | None, path: Path) -> TracebackType | None:
    """Return the part of a traceback from the test, in the file ``path``, to its call of the plugin.

    None if the error did not come from the test.
    """
    found: list[TracebackType] = []
    for entry in _entries(frames):
        if found and _is_ours(entry):
            return _chained(found)
        if found or entry.tb_frame.f_code.co_filename == str(path):
            found.append(entry)
    return _chained(found)


def at(frame: FrameType) -> TracebackType:
    """Return a traceback that ends in ``frame``, for an error that was found after it had returned."""
    return TracebackType(None, frame, frame.f_lasti, frame.f_lineno)


def _entries(frames: TracebackType | None) -> Iterator[TracebackType]:
    while frames is not None:
        yield frames
        frames = frames.tb_next


def _chained(entries: Iterable[TracebackType]) -> TracebackType | None:
    chained = None
    for entry in reversed(list(entries)):
        chained = TracebackType(chained, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return chained


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(_OURS)


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
