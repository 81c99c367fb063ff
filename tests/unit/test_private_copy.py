"""Private copies of models: functions that close over the original close over the copy there."""

from __future__ import annotations

import functools
import queue
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from pytest_cpuaccel.builder.private_copy import private_copy, private_outline

X = torch.ones(2, 4)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.steps: Any = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.lin(x)
        for step in self.steps:
            y = step(y)
        return y


def _forward(net: Net) -> None:
    original = net.forward
    net.forward = lambda x: original(x) * 2  # type: ignore[method-assign]


def _wrapped(net: Net) -> None:
    original = net.forward

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs) * 2

    net.forward = forward  # type: ignore[method-assign]


def _method(net: Net) -> None:
    net.forward = types.MethodType(lambda self, x: self.lin(x) * 2, net)  # type: ignore[method-assign]


def _partial(net: Net) -> None:
    net.forward = functools.partial(lambda function, x: function(x) * 2, net.forward)  # type: ignore[method-assign]


def _of_a_child(net: Net) -> None:
    original = net.lin.forward
    net.lin.forward = lambda x: original(x) * 2  # type: ignore[method-assign]


def _hook(net: Net) -> None:
    net.lin.register_forward_hook(lambda _, __, output: output + net.lin.bias)


def _twice_removed(net: Net) -> None:
    def twice(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: function(x) + function(x)

    net.forward = twice(net.forward)  # type: ignore[method-assign]


def _default(net: Net) -> None:
    def forward(x: torch.Tensor, lin: nn.Module = net.lin, *, bias: torch.Tensor = net.lin.bias) -> Any:
        return lin(x) + bias

    net.forward = forward  # type: ignore[method-assign]


def _in_a_list(net: Net) -> None:
    net.steps = [lambda y: net.lin(y)]


def _recursive(net: Net) -> None:
    def step(y: torch.Tensor, times: int = 2) -> torch.Tensor:
        return step(net.lin(y), times - 1) if times else y

    net.steps = [step]


PATCHES = [
    _forward,
    _wrapped,
    _method,
    _partial,
    _of_a_child,
    _hook,
    _twice_removed,
    _default,
    _in_a_list,
    _recursive,
]


@pytest.mark.parametrize("patch", PATCHES)
def test_a_copy_leads_to_itself_alone(patch: Callable[[Net], None]) -> None:
    net = Net().eval()
    patch(net)
    expected = net(X)
    copied = private_copy(net)
    assert torch.equal(copied(X), expected)
    with torch.no_grad():
        for item in net.parameters():
            item.fill_(float("nan"))
    assert torch.equal(copied(X), expected)


def test_a_function_that_leads_to_no_part_of_the_model_stays_the_same() -> None:
    net, calls = Net(), [0]

    def step(y: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return step(y) if calls[0] < 0 else y

    net.steps = [step]
    assert private_copy(net).steps[0] is step


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, queue.SimpleQueue, lambda: iter_of(), lambda: np])
def test_what_nobody_can_copy_is_shared(make: Callable[[], object]) -> None:
    net = Net().eval()
    net.steps = [make()]
    net.own = held = make()
    copied = private_copy(net)
    assert copied.own is held
    assert copied.lin.weight is not net.lin.weight


def iter_of() -> object:
    return (number for number in range(3))


def test_pruned_models_can_be_copied() -> None:
    net = Net().eval()
    prune.l1_unstructured(net.lin, "weight", 0.5)
    assert torch.equal(private_copy(net)(X), net(X))


def test_an_outline_has_the_models_shape_and_none_of_its_weights() -> None:
    net = Net()
    net.tied, net.big = net.lin, nn.Linear(1024, 1024)
    net.register_buffer("table", torch.arange(3))
    outline: Any = private_outline(net)
    assert [(name, item.shape, item.dtype) for name, item in outline.named_parameters()] == [
        (name, item.shape, item.dtype) for name, item in net.named_parameters()
    ]
    assert outline.tied is outline.lin
    assert max(item.untyped_storage().nbytes() for item in outline.parameters()) <= 8
    assert torch.equal(outline.table, net.table)
    assert outline.table is not net.table
    assert net.big.weight.abs().sum() > 0
