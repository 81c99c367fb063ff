"""Long sums: right in whatever order fp32 adds them, wrong where they are added in less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity import running
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import lines
from tests.unit.parity.test_ill_conditioned import Function

GENERATOR = torch.Generator().manual_seed(0)


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=GENERATOR)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR)


def loop(x: torch.Tensor) -> torch.Tensor:
    """The sum over the last dimension, by one fp32 accumulator."""
    return torch.from_numpy(np.add.accumulate(x.numpy(), axis=-1)[..., -1])


DATA = {
    "uniform": rand(8, 1 << 20),
    "normal": randn(8, 1 << 20),
    "rectified": randn(8, 1 << 20).relu(),
    "offset": randn(8, 1 << 20) + 100,
    "constant": torch.full((8, 1 << 20), 0.1),
    "bytes": (rand(8, 1 << 20) * 256).floor() / 255,
    "smooth": 0.5 + 0.4 * torch.sin(torch.linspace(0, 6, 1 << 20)).expand(8, -1),
    "heavy tails": (2 * randn(8, 1 << 20)).exp(),
    "descending": rand(8, 1 << 20).sort(-1, descending=True).values,
    "one row": rand(1, 1 << 20),
}

ORDERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "forward": loop,
    "backward": lambda x: loop(x.flip(-1)),
    "at random": lambda x: loop(x[:, torch.randperm(x.shape[-1], generator=GENERATOR)]),
    "in 8 lanes": lambda x: loop(loop(x.reshape(len(x), -1, 8).mT.contiguous())),
    "row by row": lambda x: loop(loop(x.reshape(len(x), 1024, -1))),
    "in pairs": lambda x: x.sum(-1),
    "in float64": lambda x: x.double().sum(-1).float(),
}


def references(model: nn.Module, x: torch.Tensor) -> References:
    return ReferenceCache().references(model.eval(), Call("forward", Inputs((x,)), None), Precision.FP32)


def judge(actual: torch.Tensor, known: References, x: torch.Tensor) -> Comparison:
    return compare(actual, known, Inputs((x,)), Terms(ParityBudget(), Precision.FP32))


@pytest.mark.parametrize("x", DATA.values(), ids=DATA)
def test_a_mean_of_a_million_is_right_in_every_order(x: torch.Tensor) -> None:
    known = references(Function(lambda x: x.mean(-1)), x)
    for name, order in ORDERS.items():
        assert judge(order(x) / x.shape[-1], known, x).outcome is Outcome.PASS, name


@pytest.mark.parametrize("name", ["uniform", "normal", "rectified", "bytes"])
def test_pooling_in_lower_precision_is_caught_and_called_a_sum(name: str) -> None:
    x = DATA[name]
    known = references(Function(lambda x: x.mean(-1)), x)
    exact = x.double().mean(-1)
    for answer in (x.bfloat16().mean(-1).float(), (exact * (1 + 2.6e-3)).float()):
        result = judge(answer, known, x)
        assert result.outcome is Outcome.FAIL
        text = " ".join((result.sentence, *lines(result)))
        assert "a sum over 1048576 elements" in text
        assert "other weights" not in text


class Huge(nn.Module):
    """A linear layer of 200,000 inputs, split along them by a right backend."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(200_000, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def in_running_sums(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Layers written out with running sums."""
    if isinstance(module, nn.GroupNorm):
        rows = x.reshape(len(x), module.num_groups, -1)
        mean = loop(rows)[..., None] / rows.shape[-1]
        spread = loop((rows - mean).square())[..., None] / rows.shape[-1]
        return ((rows - mean) / (spread + module.eps).sqrt()).reshape(x.shape)
    if isinstance(module, nn.LayerNorm):
        mean = loop(x)[..., None] / x.shape[-1]
        return (x - mean) / (loop((x - mean).square())[..., None] / x.shape[-1] + module.eps).sqrt()
    if isinstance(module, nn.Conv2d):
        return loop(functional.unfold(x, module.kernel_size).mT * module.weight.flatten(1))[:, None] + module.bias
    return loop(x[:, None] * module.linear.weight) + module.linear.bias


LAYERS = {
    "group norm": (nn.GroupNorm(2, 4, affine=False), rand(1, 4, 512, 512)),
    "group norm of an offset": (nn.GroupNorm(2, 4, affine=False), rand(1, 4, 512, 512) + 20),
    "layer norm": (nn.LayerNorm(100_000, elementwise_affine=False), randn(4, 100_000) + 5),
    "linear": (Huge(), randn(3, 200_000)),
    "convolution": (nn.Conv2d(1, 1, 200), randn(1, 1, 200, 209)),
}


@pytest.mark.parametrize(("layer", "x"), LAYERS.values(), ids=LAYERS)
def test_layers_of_long_sums_are_right_by_running_sums(layer: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        answer = in_running_sums(layer, x)
        known = references(layer, x)
        assert judge(answer.reshape(known.expected.output.shape), known, x).outcome is Outcome.PASS
        wrong = known.expected.output * (1 + 5e-3 * randn(*known.expected.output.shape))
        assert judge(wrong, known, x).outcome is Outcome.FAIL


FUNCTIONS = {
    "cumsum": lambda x: x.cumsum(1),
    "variance": lambda x: x.var(1),
    "deviation and mean": lambda x: torch.stack(torch.std_mean(x, 1, correction=0)),
    "logsumexp": lambda x: x.logsumexp(1),
    "softmax": lambda x: x.softmax(1),
    "log softmax": lambda x: x.log_softmax(1),
    "norm": lambda x: x.norm(dim=1),
    "einsum": lambda x: torch.einsum("bn,cn->bc", x, x),
    "product": lambda x: x @ x.mT,
    "one dot": lambda x: x[0] @ x[1],
    "instance norm": lambda x: functional.instance_norm(x[None]),
    "pooling": lambda x: functional.avg_pool2d(x.reshape(1, -1, 300, 200), (300, 200)),
    "pooling to 2 x 2": lambda x: functional.adaptive_avg_pool2d(x.reshape(1, -1, 300, 200), 2),
    "sum over all": lambda x: x.sum(),
    "loss": lambda x: functional.mse_loss(x[0], x[1]),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_running_sums_are_of_the_same_function(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """What eager is computed anew with is eager's own arithmetic, in another order only."""
    x = randn(4, 60_000) + 1
    known = references(Function(function), x)
    assert known.reordered is not None
    assert known.reordered.longest >= 15_000
    assert not torch.equal(known.reordered.answer.output, known.expected.output)
    torch.testing.assert_close(known.reordered.answer.output, known.expected.output, rtol=1e-3, atol=1e-4)
    assert judge(known.reordered.answer.output, known, x).outcome is Outcome.PASS


def test_a_model_of_short_sums_keeps_the_bar_of_its_own_rounding() -> None:
    x = randn(4, 512)
    model = nn.Sequential(nn.Linear(512, 512), nn.LayerNorm(512), nn.Softmax(-1))
    with torch.no_grad():
        known = references(model, x)
    assert known.reordered is None


def test_a_running_sum_is_the_less_exact_of_both_directions() -> None:
    x = torch.tensor([[1.0, 2.0**-24, 2.0**-24]])
    assert running.running_sum(x, (1,)).item() == 1.0
    assert running.running_sum(x.flip(1), (1,)).item() == 1.0
    assert running.running_sum(x, (), keepdim=True).shape == (1, 1)
