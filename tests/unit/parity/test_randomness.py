"""Randomness: a model whose answer hangs on a draw is refused however seldom that shows, and no other is."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache, check_agreement
from tests.unit.parity.test_ill_conditioned import Function

X = torch.linspace(-2, 2, 100).reshape(1, 100)
RARE = torch.tensor([0.0, 1.0, 1e-6])


def references(function, only=()):
    model, call = Function(function), Call("forward", Inputs((X,)), None)
    check_agreement(model, call.inputs, only)
    return ReferenceCache().references(model, call, Precision.FP32, only)


def seeded(x):
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    noisy = functional.dropout(x, 0.5, training=True) + torch.randn_like(x)
    return noisy * random.random() + float(np.random.rand())


def seeded_apart(x):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return x + torch.randn_like(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.dropout(x, 0.5, training=True),
        lambda x: functional.dropout(x, 1e-6, training=True) * (1 - 1e-6),
        lambda x: functional.alpha_dropout(x, 1e-7, training=True),
        lambda x: x + torch.zeros(()).bernoulli_(torch.tensor(1e-6)),
        lambda x: x * torch.bernoulli(torch.tensor(1 - 1e-6)),
        lambda x: x * 2 if torch.rand(()) < 1e-6 else x,
        lambda x: x * 2 if torch.rand(3).max() > 1 - 1e-6 else x,
        lambda x: x * (torch.empty(3).uniform_(1, 2).min() > 1 + 1e-6),
        lambda x: x + torch.randn(()).clamp(min=3.9),
        lambda x: x + torch.normal(0.0, 1.0, (2,)).clamp(max=-3.9).sum(),
        lambda x: x * torch.randint(1, 10**6, ()).clamp(max=10),
        lambda x: x + torch.multinomial(RARE, 1),
        lambda x: x + torch.distributions.Categorical(probs=RARE).sample(),
        lambda x: x * 2 if random.random() < 1e-9 else x,
        lambda x: x * 2 if np.random.rand() > 1 - 1e-9 else x,
        lambda x: x * float(np.random.uniform(1, 2)),
        lambda x: x + 1e-4 * torch.randn_like(x),
        lambda x: x[:, torch.randperm(100)],
        lambda x: functional.rrelu(x, training=True),
        lambda x: functional.gumbel_softmax(x, hard=True),
    ],
)
@pytest.mark.parametrize("state", range(2))
def test_an_answer_that_hangs_on_a_draw_is_random_however_rare_that_is(function, state) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state)
        with pytest.raises(EagerError, match="does a layer draw random numbers"):
            references(function)


@pytest.mark.parametrize(
    "function",
    [
        seeded,
        seeded_apart,
        lambda x: x + torch.randn(x.shape, generator=torch.Generator().manual_seed(4)),
        lambda x: x + torch.randn_like(x) * 0,
        lambda x: (torch.rand(3), x * 2)[1],
        lambda x: (torch.randint(9, (2,)), torch.distributions.Categorical(probs=RARE).sample(), x * 2)[2],
        lambda x: functional.dropout(x, 0.0, training=True),
        lambda x: x * torch.bernoulli(torch.ones(100)),
        lambda x: x + torch.multinomial(torch.tensor([0.0, 1.0]), 1),
        lambda x: x + torch.multinomial(torch.tensor([0.0, 1.0]), 3, replacement=True).sum(),
    ],
)
def test_a_draw_that_no_answer_hangs_on_is_no_chance(function) -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate())
    assert references(function).unproven == ()
    after = (torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_only_outputs_that_are_compared_must_not_hang_on_a_draw() -> None:
    def samples(x):
        return {"mu": x * 2, "recon": functional.dropout(x, 1e-6, training=True)}

    assert references(samples, ("mu",)).unproven == ()
    with pytest.raises(EagerError, match="'recon'"):
        references(samples)


def test_what_was_seen_of_some_outputs_is_not_taken_for_others() -> None:
    model = Function(lambda x: {"mu": x * 2, "recon": x + torch.randn_like(x)})
    cache, call = ReferenceCache(), Call("forward", Inputs((X,)), None)
    cache.references(model, call, Precision.FP32, ("mu",))
    with pytest.raises(EagerError, match="'recon'"):
        cache.references(model, call, Precision.FP32)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: (random.random(), x * 2)[1], ("Python",)),
        (lambda x: (np.random.rand(), torch.rand(3), x * 2)[2], ("numpy",)),
        (lambda x: (torch.empty(3).exponential_(), x * 2)[1], ("torch",)),
    ],
)
def test_a_draw_of_which_it_is_not_shown_that_nothing_hangs_on_it_is_named(function, names) -> None:
    assert references(function).unproven == names


class DrawsAtFirst(nn.Module):
    noise: torch.Tensor | None = None

    def forward(self, x):
        if self.noise is None:
            self.noise = torch.randn(100)
        return x + self.noise


def test_what_a_first_call_draws_and_later_ones_keep_is_chance_until_it_is_drawn() -> None:
    model, call = DrawsAtFirst().eval(), Call("forward", Inputs((X,)), None)
    with pytest.raises(EagerError, match="does a layer draw random numbers"):
        ReferenceCache().references(model, call, Precision.FP32)
    model(X)
    assert ReferenceCache().references(model, call, Precision.FP32).unproven == ()


def test_calls_in_a_row_are_seen_to_hang_on_a_draw() -> None:
    model, call = Function(lambda x: functional.dropout(x, 1e-6, training=True)), Call("forward", Inputs((X,)), None)
    with pytest.raises(EagerError, match="does a layer draw random numbers"):
        ReferenceCache().sequence(model, [call, call], Precision.FP32, (), None)
