"""Eager in other precisions: by a copy of the model, which is kept only where it is small."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.judge import reference
from tests.memory import tensors_of_shape

X = Inputs((torch.ones(1, 13),))


class _TellsItsWeight(nn.Linear):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"output": super().forward(x), "weight": self.weight}


def _fp64(*shape: int) -> list[torch.Tensor]:
    return [item for item in tensors_of_shape(shape) if item.dtype is torch.float64]


def test_a_large_copy_is_freed_after_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CASTS_BYTES", 0)
    model = nn.Linear(13, 997)
    for _ in range(2):
        answer = reference.run_in(model, X, torch.float64)
        assert answer is not None
        assert torch.allclose(answer.output.float(), model(*X.args), atol=1e-5)
        assert _fp64(997, 13) == []


def test_a_small_copy_goes_with_the_verdict() -> None:
    model = nn.Linear(13, 1009)
    reference.run_in(model, X, torch.float64)
    assert _fp64(1009, 13)
    reference.forget_casts(model)
    assert _fp64(1009, 13) == []


def test_an_answer_outlives_the_copy_that_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CASTS_BYTES", 0)
    model = _TellsItsWeight(13, 5)
    answer = reference.run_in(model, X, torch.float64)
    assert answer is not None
    assert torch.equal(answer.output["weight"].float(), model.weight)
