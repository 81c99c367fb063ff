"""A stream is held to the tokens that the same call returned."""

from __future__ import annotations

import copy

import pytest
import torch

from pytest_cpuaccel.core.heard import Heard, Listener
from pytest_cpuaccel.core.measurement.stream import StreamMeasurement
from pytest_cpuaccel.core.parity_summary import ParitySummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.stream import judge_stream
from pytest_cpuaccel.measure.parity.stream import compare_stream

ONE = torch.tensor([[1, 2, 3, 4]])
TWO = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("told", "returned", "expected"),
    [
        ((ONE[:, :2], ONE[0, 2:3], ONE[0, 3:]), ONE, None),
        ((ONE[:, :2], ONE[0, 2:]), ONE, None),  # a draft is told at once
        ((TWO[:, :2], TWO[:, 2]), TWO, None),
        (([[1, 2]], [3], [4]), ONE, None),
        ((), ONE, StreamMeasurement("silent")),
        ((ONE[:, :2], ONE[0, 3:]), ONE, StreamMeasurement("length", heard=3, returned=4)),
        ((TWO[:, :2], TWO[:, 2] + 1), TWO, StreamMeasurement("token", 0, 2, 4, 3)),
        ((TWO[:, :2], TWO[:1, 2]), TWO, StreamMeasurement("length", heard=0, returned=3)),
    ],
)
def test_what_was_told_is_compared_with_what_was_returned(
    told: tuple[object, ...], returned: torch.Tensor, expected: StreamMeasurement | None
) -> None:
    assert compare_stream(Heard(told, is_ended=True), returned) == expected


def test_a_stream_without_an_end_is_none() -> None:
    assert compare_stream(Heard((ONE,)), ONE) == StreamMeasurement("endless")


@pytest.mark.parametrize(
    ("what", "outcome"), [("silent", Outcome.INCONCLUSIVE), ("endless", Outcome.FAIL), ("token", Outcome.FAIL)]
)
def test_other_tokens_fail_and_silence_leaves_it_open(what: str, outcome: Outcome) -> None:
    found = Comparison(Outcome.PASS, "3 of 3 tokens agree", ParitySummary("3 of 3 tokens", Precision.FP32))
    judged = judge_stream(found, StreamMeasurement(what))  # type: ignore[arg-type]
    assert (judged.outcome, judged.sentence.endswith("; 3 of 3 tokens agree")) == (outcome, True)


def test_a_listener_passes_on_what_it_hears_and_stays_itself_in_a_copy() -> None:
    behind = Listener()
    listener = Listener(behind)
    copy.deepcopy({"streamer": listener})["streamer"].put(ONE)
    listener.end()
    for heard in (behind.heard, listener.heard):
        assert heard.is_ended
        assert [value.tolist() for value in heard.told] == [ONE.tolist()]
