"""A test's failure, skip or warnings, from its results or from an error."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_cpuaccel.core.errors import CpuaccelError, CpuaccelWarning
from pytest_cpuaccel.core.frames import without_ours
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.plugin.stash import SETTINGS
from pytest_cpuaccel.plugin.tracebacks import REASON, to_the_test

if TYPE_CHECKING:
    from pytest_cpuaccel.core.result import Result

_VERDICT = "cpuaccel_verdict"
"""The attribute of an exception that a verdict raised."""


def fail_or_skip(item: pytest.Item, results: Sequence[Result]) -> None:
    """Fail a test with a FAIL verdict; treat INCONCLUSIVE verdicts as the settings say."""
    from pytest_cpuaccel.report.failure import failure_reasons, failure_text

    failed = failure_text(results, Outcome.FAIL)
    undecided = failure_text(results, Outcome.INCONCLUSIVE)
    policy = item.config.stash[SETTINGS].inconclusive
    refused = policy == "warn" and not _warned(item, results)
    if failed or (undecided and (policy == "fail" or refused)):
        text = "\n".join(filter(None, (failed, undecided and f"INCONCLUSIVE {undecided}")))
        reason = failure_reasons(results, Outcome.FAIL)
        raised = failure(text, reason or f"INCONCLUSIVE {failure_reasons(results, Outcome.INCONCLUSIVE)}")
        raise _of_verdict(raised)
    if undecided and policy == "skip":
        raise _of_verdict(pytest.skip.Exception(f"INCONCLUSIVE {undecided}"))


def is_verdict(raised: BaseException) -> bool:
    """Tell whether an exception ended a test because of its verdicts."""
    return hasattr(raised, _VERDICT)


def _of_verdict(raised: BaseException) -> BaseException:
    setattr(raised, _VERDICT, True)
    return raised


def failure_of(error: CpuaccelError, item: pytest.Item) -> BaseException:
    """Return the failure with an error's one line, and ``at file:line`` below it if a line of the test led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(item.path)]
    place = f"\n  at {item.path.name}:{lines[-1]}" if lines else ""
    raised = failure(f"{str(error).removeprefix(f'{item.nodeid}: ')}{place}", reason_of(error, item))
    raised.__context__, raised.__suppress_context__ = error, True
    frames = error.__traceback__
    return raised.with_traceback(to_the_test(frames, item.path) or without_ours(frames))


def failure(text: str, reason: str) -> BaseException:
    """Return a failure with a text, whose line in pytest's short summary is a reason."""
    found: BaseException = pytest.fail.Exception(text, pytrace=False)
    setattr(found, REASON, reason)
    return found


def reason_of(error: CpuaccelError, item: pytest.Item) -> str:
    """Return an error's text without what the test's node id says already, the id itself and the backend."""
    from pytest_cpuaccel.plugin.parametrize import backend_name

    return str(error).removeprefix(f"{item.nodeid}: ").removeprefix(f"{backend_name(item)}: ")


def _warned(item: pytest.Item, results: Iterable[Result]) -> bool:
    """Warn of each INCONCLUSIVE verdict; tell whether no warning was raised as an error, as under ``-W error``."""
    well = True
    for verdict in (verdict for result in results for verdict in result.verdicts):
        if verdict.outcome is Outcome.INCONCLUSIVE:
            try:
                item.warn(CpuaccelWarning(f"INCONCLUSIVE {verdict.sentence}"))
            except CpuaccelWarning:
                well = False
    return well
