"""Eager in other precisions: by a copy of the model, which is kept only where it is small."""

from __future__ import annotations

import ctypes
from queue import SimpleQueue

import pytest
import torch
from torch import nn

from pytest_cpuaccel.builder import cast_copy as cast
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.evaluation import reference_cache as reference
from pytest_cpuaccel.zoo.architecture import Architecture
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
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


@pytest.fixture
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model and parameter counts as large."""
    monkeypatch.setattr(reference, "CASTS_BYTES", 0)
    monkeypatch.setattr(cast, "_LARGE", 0)


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_the_weights_of_a_large_model_are_not_held_in_two_types(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(13, 991), nn.Tanh(), nn.Linear(991, 13), nn.LayerNorm(13))
    held: SimpleQueue[bool] = SimpleQueue()  # what a list has would be put back, as state of the model's hooks

    def look(*_: object) -> None:
        tensors = tensors_of_shape((991, 13), (13, 991))
        held.put(any(item.dtype is dtype for item in tensors))

    run_eager(model, "forward", X)
    for child in (model[0], model[2]):
        child.register_forward_hook(look)
    answer = reference.run_in(model, X, dtype)
    assert answer is not None
    assert not held.empty()
    assert not any(held.get() for _ in range(held.qsize()))
    assert torch.equal(answer.output, cast.cast_copy(model, dtype)(X.args[0].to(dtype)))


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda item: item.name)
def test_casting_weights_when_they_are_used_gives_what_casting_them_before_does(architecture: Architecture) -> None:
    if architecture.is_transformer:
        pytest.importorskip("transformers")
    model = architecture.make()
    inputs = private_inputs(architecture.inputs(model), torch.float64)
    light, whole = (make(model, torch.float64) for make in (cast.light_cast_copy, cast.cast_copy))
    answers = [[*tree.tensors(run_eager(copied, "forward", inputs))] for copied in (light, whole)]
    torch.testing.assert_close(*answers, rtol=1e-12, atol=1e-12)


class _ReadsMemory(nn.Linear):
    """Multiplies by what stands in the memory of its first weight."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        number = ctypes.c_double if self.weight.dtype is torch.float64 else ctypes.c_float
        return super().forward(x) * number.from_address(self.weight.data_ptr()).value


@pytest.mark.usefixtures("_large")
def test_a_large_model_may_read_the_memory_of_its_weights() -> None:
    model = _ReadsMemory(13, 5)
    expected = run_eager(model, "forward", X)
    answer = reference.run_in(model, X, torch.float64)
    assert answer is not None
    assert torch.allclose(answer.output.float(), expected, atol=1e-6)


class _Writes(nn.Linear):
    """Adds one to its weights in every call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight.add_(1)
        return super().forward(x)


class _WritesToAView(nn.Linear):
    """Adds one to a row of its weights in every call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight[0].add_(1)
        return super().forward(x)


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize("kind", [_Writes, _WritesToAView])
def test_a_large_model_may_write_to_its_weights(kind: type[nn.Linear]) -> None:
    model = kind(13, 5)
    expected = model.weight.detach() + torch.tensor([1.0] + [float(kind is _Writes)] * 4)[:, None]
    before = model.weight.detach().clone()
    run_eager(model, "forward", X)
    answer = reference.run_in(model, X, torch.float64)
    assert answer is not None
    assert torch.allclose(answer.output, expected.double() @ torch.ones(13).double() + model.bias.double())
    assert torch.equal(model.weight, before)


@pytest.mark.usefixtures("_large")
def test_an_answer_may_be_a_weight_of_a_large_model() -> None:
    model = _TellsItsWeight(13, 5)
    run_eager(model, "forward", X)
    answer = reference.run_in(model, X, torch.float64)
    assert answer is not None
    assert type(answer.output["weight"]) is torch.Tensor
    assert torch.equal(answer.output["weight"].float(), model.weight)


def test_an_answer_outlives_the_copy_that_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CASTS_BYTES", 0)
    model = _TellsItsWeight(13, 5)
    answer = reference.run_in(model, X, torch.float64)
    assert answer is not None
    assert torch.equal(answer.output["weight"].float(), model.weight)
