"""Digests of models and inputs: the same in every process, and others whenever a value is another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_cpuaccel.builder.fingerprint import (
    buffers_stamp,
    inputs_digest,
    inputs_signature,
    model_key,
    parameters_stamp,
)
from pytest_cpuaccel.core.inputs import Inputs

CODE = """
import sys
sys.path.append({root!r})
from tests.unit.test_fingerprint import {make}
from pytest_cpuaccel.builder.fingerprint import model_key
print(model_key({make}()))
"""


class Net(nn.Module):
    """Equal in every process; ``changes`` are attributes."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(96, 96)
        self.norm = nn.BatchNorm1d(96)
        for name, value in changes.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x))


def gpt2() -> nn.Module:
    from tests import models

    torch.manual_seed(0)
    return models.gpt2()


@pytest.mark.parametrize("make", ["Net", "gpt2"])
def test_a_models_key_is_the_same_in_every_process(make: str, tmp_path: Path) -> None:
    if make == "gpt2":
        pytest.importorskip("transformers")
    run = [sys.executable, "-c", CODE.format(make=make, root=str(Path(__file__).parents[2]))]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert printed.splitlines()[-1] == str(model_key(globals()[make]()))


def test_models_that_differ_in_a_setting_have_different_keys() -> None:
    keys = [model_key(Net(**changes)) for changes in ({}, {"scale": 2.0}, {"sizes": [1, 2]}, {"dtype": torch.float64})]
    assert len({str(key) for key in keys}) == len(keys)


def test_objects_of_any_kind_may_be_among_attributes() -> None:
    class Slotted:
        __slots__ = ("value",)

    for value in (Slotted(), object(), iter(()), lambda: None, np.ones(3), {1: Slotted()}, type, sys):
        assert model_key(Net(value=value))


WRITES: dict[str, Callable[[nn.Module], object]] = {
    "in place": lambda net: net.layer.weight.mul_(2),
    "one element": lambda net: net.layer.weight.data.view(-1)[-1].add_(1e-3),
    ".data": lambda net: net.layer.weight.data.mul_(2),
    "by numpy": lambda net: np.negative(net.layer.bias.numpy(), out=net.layer.bias.numpy()),
    "two rows exchanged": lambda net: net.layer.weight.data.copy_(net.layer.weight.roll(1, 0)),
    "two columns exchanged": lambda net: net.layer.weight.data.copy_(net.layer.weight.roll(1, 1)),
    "signs in pairs": lambda net: net.layer.weight.data[:, 1::2].neg_(),
    "another parameter": lambda net: setattr(net.layer, "bias", nn.Parameter(torch.ones(96))),
    "transposed": lambda net: setattr(net.layer.weight, "data", net.layer.weight.data.t()),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_weights_have_another_stamp_whatever_road_a_change_took(write: Callable[[nn.Module], object]) -> None:
    net = Net()
    before = parameters_stamp(net), model_key(net)
    with torch.no_grad():
        net.layer.weight.requires_grad_(False)
        net.layer.bias.requires_grad_(False)
        assert (parameters_stamp(net), model_key(net)) == before
        write(net)
    assert parameters_stamp(net) != before[0]
    assert model_key(net)["weights"] != before[1]["weights"]


def test_a_permutation_matrix_is_told_from_another() -> None:
    net = nn.Linear(1024, 1024, bias=False)
    net.weight.data = torch.eye(1024)
    before = parameters_stamp(net)
    net.weight.data = torch.eye(1024).roll(8, 0)  # a row of 8192 words has as many ones as before, and so has a column
    assert parameters_stamp(net) != before


def test_buffers_are_among_the_weights_of_a_key() -> None:
    net = Net()
    before = model_key(net)
    net.norm.running_mean.data.add_(1)
    assert model_key(net)["weights"] != before["weights"]


def test_inference_tensors_have_a_stamp() -> None:
    with torch.inference_mode():
        net = Net()
    assert parameters_stamp(net) == parameters_stamp(Net())


def test_the_memory_of_what_was_looked_at_may_still_grow() -> None:
    model, x = Net(), torch.ones(2, 3)
    parameters_stamp(model)
    buffers_stamp(model)
    inputs_digest(Inputs((x,)))
    for tensor in (x, *(item.data for item in model.parameters()), *model.buffers()):
        tensor.resize_(100)


def test_transformers_configs_count() -> None:
    pytest.importorskip("transformers")
    from tests import models

    torch.manual_seed(0)
    model: Any = models.bert_classifier()
    before = model_key(model)
    model.config.num_labels = 7
    assert model_key(model) != before


def test_a_digest_does_not_hang_on_the_order_of_keywords() -> None:
    x, y = torch.ones(2), torch.zeros(2)
    assert inputs_digest(Inputs((), {"x": x, "y": y})) == inputs_digest(Inputs((), {"y": y, "x": x}))
    assert inputs_digest(Inputs((), {"x": x, "y": y})) != inputs_digest(Inputs((), {"x": y, "y": x}))


def test_inputs_are_told_apart_by_shape_type_and_constants_and_digests_also_by_values() -> None:
    ones, zeros = Inputs((torch.ones(2, 3),)), Inputs((torch.zeros(2, 3),))
    assert inputs_signature(ones) == inputs_signature(zeros)
    assert inputs_digest(ones) != inputs_digest(zeros)
    others = [
        Inputs((torch.ones(3, 2),)),
        Inputs((torch.ones(2, 3).int(),)),
        Inputs(kwargs={"x": torch.ones(2, 3)}),
        Inputs((torch.ones(2, 3),), {"flag": True}),
        Inputs((torch.ones(2, 3),), {"flag": False}),
    ]
    assert len({inputs_signature(inputs) for inputs in (ones, *others)}) == 6
