"""Eager with the weights and inputs of its layers rounded as int8 would be."""

import torch
from torch import nn

from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.evaluation.fake_int8 import FakeInt8, in_fake_int8


class OwnProduct(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4))

    def forward(self, x):
        return torch.addmm(torch.zeros(4), x, self.weight) + x @ self.weight


def error(model, x):
    model.eval()
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        given = x.clone()
        expected, rounded = model(x), in_fake_int8(lambda: model(x))
        assert torch.equal(x, given)
    assert all(map(torch.equal, weights, model.parameters()))
    if rounded is None:
        return None
    return ((rounded - expected).square().mean().sqrt() / expected.square().mean().sqrt()).item()


def test_linears_convolutions_and_attention_are_off_by_some_percent():
    torch.manual_seed(0)
    x = torch.randn(3, 5, 8)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    for model, given in (
        (nn.Linear(8, 4), x),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)), torch.randn(2, 3, 9, 9)),
        (nn.Conv1d(5, 4, 3), x),
        (encoder, x),
        (OwnProduct(), x[0]),
        (nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)), x.transpose(0, 1)),
    ):
        assert 1e-3 < error(model, given) < 0.05


def test_a_model_that_it_does_not_know_all_about_is_rounded_by_nothing():
    assert error(nn.LayerNorm(8), torch.randn(2, 8)) is None
    assert error(nn.Sequential(nn.ConvTranspose1d(3, 3, 2), nn.Linear(9, 2)), torch.randn(1, 3, 8)) is None
    recurrent, head = nn.LSTM(8, 8), nn.Linear(8, 2)
    assert in_fake_int8(lambda: head(recurrent(torch.randn(2, 1, 8))[0])) is None


def test_of_an_attention_what_it_returns_is_rounded_too():
    attention, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(64, 4, 8)
    with torch.no_grad(), FakeInt8(outputs=True):
        answer, weights = attention(x, x, x)
    assert len(answer.unique()) <= 256 < len(weights.unique())


def test_zeros_and_empty_batches_stay_what_they_are():
    layer = nn.Linear(8, 4, bias=False)
    assert not in_fake_int8(lambda: layer(torch.zeros(2, 8))).any()
    assert in_fake_int8(lambda: layer(torch.zeros(0, 8))).shape == (0, 4)


def test_a_model_that_fails_so_has_no_int8_rounding():
    def fails():
        raise EagerError("no")

    assert in_fake_int8(fails) is None
