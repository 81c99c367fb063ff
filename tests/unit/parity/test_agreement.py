"""Eager against itself."""

from __future__ import annotations

import torch

from pytest_cpuaccel.measure.parity.agreement import self_agreement


def test_equal_runs_agree_nan_and_all():
    output = {"logits": torch.tensor([1.0, torch.nan, torch.inf]), "ids": torch.tensor([1])}
    assert self_agreement(output, output) is None


def test_another_order_of_addition_is_agreement():
    x = torch.rand(100)
    assert self_agreement(x, x * (1 + 2e-7)) is None


def test_dropout_is_named_as_the_likely_cause():
    layer = torch.nn.Dropout(0.5)
    sentence = self_agreement({"logits": layer(torch.ones(99))}, {"logits": layer(torch.ones(99))})
    assert sentence.startswith("eager disagrees with itself by 1.0e+00")
    assert "'logits'" in sentence
    assert "dropout" in sentence


def test_tokens_shapes_and_outputs_must_agree_too():
    assert "at 1 of 2 elements" in self_agreement(torch.tensor([1, 2]), torch.tensor([1, 3]))
    assert "in shape" in self_agreement(torch.zeros(2), torch.zeros(3))
    assert "one of two runs" in self_agreement({"a": torch.zeros(1)}, {})
    assert "NaN" in self_agreement(torch.zeros(2), torch.tensor([0.0, torch.nan]))


def test_only_the_outputs_asked_for_must_agree():
    first, second = {"mu": torch.ones(2), "recon": torch.zeros(2)}, {"mu": torch.ones(2), "recon": torch.ones(2)}
    assert "'recon'" in self_agreement(first, second)
    assert self_agreement(first, second, ("mu", "logvar")) is None
    assert "'recon'" in self_agreement(first, second, ("re*",))
