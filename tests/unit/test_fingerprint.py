"""Digests: equal for models that compute the same, different for all others."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_cpuaccel.build.fingerprint import inputs_digest, inputs_signature, model_digest
from pytest_cpuaccel.core.inputs import Inputs

CODE = """
from tests.unit.test_fingerprint import {make}
from pytest_cpuaccel.build.fingerprint import model_digest
print(model_digest({make}()))
"""


@dataclass
class Settings:
    scale: float = 1.0


class Net(nn.Module):
    """Equal in every process; ``changes`` are attributes."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.activation = torch.relu
        self._scale = 1.0
        self.settings = Settings()
        self.table = torch.ones(3)
        self.sizes = [1, 2]
        self.names = {"a": 1}
        for name, value in changes.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(self.norm(self.layer(x))) * self._scale


def gpt2() -> nn.Module:
    from tests import models

    torch.manual_seed(0)
    return models.gpt2()


def test_models_made_alike_have_one_digest() -> None:
    assert model_digest(Net()) == model_digest(Net())


@pytest.mark.parametrize("make", ["Net", "gpt2"])
def test_the_digest_is_the_same_in_every_process(make: str) -> None:
    if make == "gpt2":
        pytest.importorskip("transformers")
    run = [sys.executable, "-c", CODE.format(make=make)]
    root = Path(__file__).parents[2]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, cwd=root).stdout
    assert printed.splitlines()[-1] == model_digest(globals()[make]())


@pytest.mark.parametrize(
    "change",
    [
        {"activation": torch.tanh},
        {"activation": lambda x: x},
        {"activation": nn.GELU()},
        {"_scale": 2.0},
        {"settings": Settings(2.0)},
        {"settings": SimpleNamespace(scale=2.0)},
        {"table": torch.zeros(3)},
        {"table": np.ones(3)},
        {"sizes": [1, 3]},
        {"names": {"a": 2}},
        {"dtype": torch.float64},
        {"forward": lambda x: x},
    ],
    ids=lambda change: next(iter(change)),
)
def test_models_that_differ_in_a_setting_have_different_digests(change: dict[str, Any]) -> None:
    assert model_digest(Net(**change)) != model_digest(Net())


def test_lambdas_that_differ_have_different_digests() -> None:
    doubled = Net(activation=lambda x: x * 2)
    tripled = Net(activation=lambda x: x * 3)
    assert model_digest(doubled) != model_digest(tripled)


def test_a_change_is_noticed_wherever_it_is_made() -> None:
    net = Net()
    digests = [model_digest(net)]

    def note() -> None:
        digests.append(model_digest(net))

    with torch.no_grad():
        net.layer.weight.mul_(2)
    note()
    net.layer.bias = nn.Parameter(torch.ones(4))
    note()
    net.norm.running_mean.add_(1)
    note()
    net.norm.eps = 1e-2
    note()
    net._scale = 3.0
    note()
    net.register_forward_hook(lambda *given: given[-1] + 1)
    note()
    net.layer = nn.Linear(4, 4, bias=False)
    note()
    assert len(set(digests)) == len(digests)


def test_being_used_changes_nothing() -> None:
    net = Net().eval()
    before = model_digest(net)
    with torch.no_grad():
        net(torch.ones(2, 4))
    assert model_digest(net) == before


def test_inference_tensors_have_a_digest() -> None:
    with torch.inference_mode():
        net = Net()
    assert model_digest(net) == model_digest(Net())


def test_transformers_configs_count() -> None:
    pytest.importorskip("transformers")
    from tests import models

    torch.manual_seed(0)
    model: Any = models.bert_classifier()
    before = model_digest(model)
    model.config.num_labels = 7
    assert model_digest(model) != before


def test_being_used_changes_nothing_of_a_transformers_model() -> None:
    pytest.importorskip("transformers")
    from tests import models

    model: Any = gpt2()
    before = model_digest(model)
    model.generate(**models.tokens(padding=0), max_new_tokens=2)
    assert model_digest(model) == before


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
