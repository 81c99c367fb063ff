"""The judgement of a stream: whoever streams an answer shows these tokens, and not those that are returned."""

from __future__ import annotations

from dataclasses import replace

from pytest_cpuaccel.core.measurement.stream import StreamMeasurement
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.comparison import Comparison


def judge_stream(found: Comparison, measured: StreamMeasurement) -> Comparison:
    """Return a comparison of tokens that takes a faulty stream into account.

    Other tokens than those returned, or no end, fail. A streamer that was told nothing leaves it open what the stream
    would have been.
    """
    outcome = Outcome.INCONCLUSIVE if measured.what == "silent" else Outcome.FAIL
    return replace(
        found, outcome=Outcome.worst([found.outcome, outcome]), sentence=f"{_told(measured)}; {found.sentence}"
    )


def _told(measured: StreamMeasurement) -> str:
    if measured.what == "silent":
        return "the streamer was told nothing, in eager all tokens"
    if measured.what == "endless":
        return "the streamer was never told of the end, in eager it was"
    if measured.what == "length":
        return f"the streamer was told {measured.heard} tokens, and {measured.returned} were returned"
    return (
        f"the streamer was told other tokens than were returned: token {measured.position} of row {measured.row} is "
        f"{measured.heard}, returned {measured.returned}"
    )
