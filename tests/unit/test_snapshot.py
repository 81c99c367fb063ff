"""The state of a model: put back exactly, and compared by value."""

from __future__ import annotations

import collections
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_cpuaccel.builder.state.snapshot import Snapshot, take_after, untouched
from tests.memory import tensors_of_shape


class Slotted:
    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Linear(2, 2)
        self.register_buffer("buffer", torch.zeros(3))
        self.array = np.zeros(3)
        self.nested = {"list": [1, 2], "deque": collections.deque([1]), "set": {1}}
        self.slotted = Slotted()
        self.random = random.Random(0)
        self.generator = torch.Generator()
        self.itself = self
        self.number = 0


CHANGES: dict[str, Callable[[Any], object]] = {
    "buffer": lambda net: net.buffer.add_(1),
    "buffer of another size": lambda net: setattr(net, "buffer", torch.ones(5)),
    "array": lambda net: net.array.__setitem__(0, 1),
    "nested.list": lambda net: net.nested["list"].append(3),
    "nested.deque": lambda net: net.nested["deque"].appendleft(3),
    "nested.set": lambda net: net.nested["set"].add(3),
    "nested.new": lambda net: net.nested.__setitem__("new", 1),
    "slotted": lambda net: setattr(net.slotted, "n", 1),
    "number": lambda net: setattr(net, "number", float("nan")),
    "a new attribute": lambda net: setattr(net, "new", 1),
    "a deleted attribute": lambda net: delattr(net, "number"),
    "attribute of a child": lambda net: setattr(net.child, "seen", 1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_named_and_undone(change: Callable[[Any], object]) -> None:
    net = Net()
    before = Snapshot.of(net)
    assert before.changes() == []
    change(net)
    assert before.changes()
    before.restore()
    assert before.changes() == []
    assert vars(net).keys() == vars(Net()).keys()
    assert net.nested == Net().nested


def test_values_count_and_not_the_objects_that_hold_them() -> None:
    net = Net()
    before = Snapshot.of(net)
    net.buffer = net.buffer.clone()
    net.nested = {"list": [1, 2], "deque": collections.deque([1]), "set": {1}}
    assert before.changes() == []


def test_sources_of_random_numbers_are_put_back() -> None:
    net = Net()
    with untouched(net):
        drawn = net.random.random(), torch.rand(3, generator=net.generator).tolist()
    assert (net.random.random(), torch.rand(3, generator=net.generator).tolist()) == drawn


def test_a_model_is_put_back_also_when_its_call_raises() -> None:
    net = Net()

    def fail() -> None:
        with untouched(net):
            net.number = 5
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert net.number == 0


def test_the_objects_of_the_user_stay_the_same_objects() -> None:
    net = Net()
    buffer, held = net.buffer, net.nested["list"]
    with untouched(net):
        net.buffer = torch.ones(3)
        net.nested["list"] = []
    assert net.buffer is buffer
    assert net.nested["list"] is held


TABLE: list[tuple[int, int]] = []


class _CountsBesideATable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Identity()
        self.table.rows = []
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return x + self.count + len(TABLE) + len(self.table.rows)


@pytest.mark.parametrize("is_its_own", [False, True])
def test_a_large_table_does_not_hide_a_models_state(is_its_own: bool) -> None:
    model = _CountsBesideATable()
    table = model.table.rows if is_its_own else TABLE
    table.extend((i, i) for i in range(250_000))
    try:
        assert not Snapshot.of(model).is_whole
        with untouched(model):
            model(torch.zeros(1))
    finally:
        table.clear()
    assert model.count == 0
    assert Snapshot.of(model).is_whole


class _AddsToItsWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight.data.add_(1)
        return x + self.weight


def _copies_of(weight: nn.Parameter) -> list[torch.Tensor]:
    """Tensors somewhere in this process that hold what a weight of odd shape holds."""
    return [item for item in tensors_of_shape(weight.shape) if item.data_ptr() != weight.data_ptr()]


def test_parameters_are_copied_once_however_often_a_state_is_noted() -> None:
    model = nn.Linear(13, 977)
    kept = [Snapshot.of(model) for _ in range(3)]
    assert len(_copies_of(model.weight)) == 1
    assert kept


def test_copies_of_parameters_go_once_calls_are_known_to_leave_them_alone() -> None:
    model = nn.Linear(13, 983)
    start = Snapshot.of(model)
    with untouched(model):
        model(torch.zeros(1, 13))
    assert _copies_of(model.weight) == []
    start.restore()
    assert start.changes() == []


def test_each_state_has_the_parameters_of_its_own_moment() -> None:
    model = _AddsToItsWeight()
    states = []
    for _ in range(3):
        states.append(Snapshot.of(model))
        model(torch.zeros(3))
    with untouched(model):
        model(torch.zeros(3))
    assert model.weight.tolist() == [3, 3, 3]
    for number, state in reversed(list(enumerate(states))):
        state.restore()
        assert model.weight.tolist() == [number] * 3


def test_a_copy_of_a_model_is_known_to_leave_its_parameters_alone_when_the_model_is() -> None:
    model, copied = nn.Linear(13, 991), nn.Linear(13, 991)
    with untouched(model):
        model(torch.zeros(1, 13))
    take_after(copied, model)
    kept = Snapshot.of(copied)
    assert len(_copies_of(copied.weight)) == 1  # the model's own
    assert kept
