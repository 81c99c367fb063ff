"""What a recorder keeps of a test's calls: what was true at the time of each."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.recording.cpu_model import CpuModel, calls_of


class _Noisy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(())


def _recorder(model: nn.Module) -> Any:
    builder = Builder(
        ArtifactStore(Path("unused"), 0), torch.get_num_threads(), str, lambda _: contextlib.nullcontext()
    )
    return CpuModel(model, EAGER, builder)


def test_a_buffer_that_is_refilled_in_place_is_recorded_as_it_was_at_each_call() -> None:
    recorder, buffer = _recorder(nn.Identity()), torch.zeros(3)
    for value in (1.0, 2.0, 2.0):
        buffer.fill_(value)
        recorder(buffer)
    assert [call.inputs.args[0].tolist() for call in calls_of(recorder)] == [[1.0] * 3, [2.0] * 3, [2.0] * 3]


def test_an_output_that_the_test_alters_is_recorded_as_the_model_gave_it() -> None:
    recorder = _recorder(nn.Identity())
    for _ in range(2):
        recorder(torch.ones(3)).zero_()
    assert [call.output.tolist() for call in calls_of(recorder)] == [[1.0] * 3] * 2


def test_equal_inputs_with_other_answers_are_two_records() -> None:
    recorder = _recorder(_Noisy().eval())
    answers = [recorder(torch.ones(2)) for _ in range(2)]
    assert [call.output.tolist() for call in calls_of(recorder)] == [answer.tolist() for answer in answers]


def test_a_call_that_is_repeated_takes_no_more_memory() -> None:
    recorder = _recorder(nn.Identity())
    for _ in range(3):
        recorder(torch.ones(3))
    kept = {call.inputs.args[0].data_ptr() for call in calls_of(recorder)}
    assert (len(calls_of(recorder)), len(kept)) == (3, 1)
