"""How far the answers of two environments are apart."""

from __future__ import annotations

from math import inf, nan

import pytest
import torch

from pytest_cpuaccel.core.call import Answer, Call, Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.evaluation.side_answers import SideAnswers, first_token, largest_move


def side(*outputs: object, method: Method = "forward") -> SideAnswers:
    calls = [Call(method, Inputs((), {}), None) for _ in outputs]
    return SideAnswers(calls, [Answer(output) for output in outputs])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([1.0, 2.5])}, 0.5),
        (torch.tensor([1.0, nan, inf]), torch.tensor([1.0, nan, inf]), 0.0),
        (torch.tensor([1.0, nan]), torch.tensor([nan, nan]), inf),
        (torch.tensor([inf]), torch.tensor([-inf]), inf),
        (torch.tensor([True, False]), torch.tensor([True, True]), 1.0),
        (torch.zeros(0, 3), torch.zeros(0, 3), 0.0),
        ({"a": torch.ones(2), "b": None}, {"a": torch.ones(2), "b": None}, 0.0),
        (torch.zeros(2), torch.zeros(3), None),
        ({"a": torch.zeros(2)}, {"b": torch.zeros(2)}, None),
        ({"a": torch.zeros(2), "label": "cat"}, {"a": torch.zeros(2), "label": "dog"}, None),
        ((torch.zeros(2), 3), (torch.zeros(2), 4), None),
    ],
)
def test_the_largest_move(one: object, other: object, expected: float | None) -> None:
    assert largest_move(side(one), side(other)) == expected
    assert largest_move(side(one, one), side(one, other)) == expected


def test_what_the_model_wrote_to_its_inputs_moves_too() -> None:
    calls = [Call("forward", Inputs((), {}), None)]
    ours, theirs = (SideAnswers(calls, [Answer(1, written={"x": torch.full((2,), value)})]) for value in (1.0, 3.0))
    assert largest_move(ours, theirs) == 2.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([[5, 6, 7]], [[5, 6, 7]], None),
        ([[5, 6, 7], [1, 2, 3]], [[5, 6, 7], [1, 9, 3]], 1),
        ([[5, 6]], [[5, 6, 7]], 2),
    ],
)
def test_the_first_token_that_differs(one: list[list[int]], other: list[list[int]], expected: int | None) -> None:
    ours, theirs = (side(torch.tensor(given), method="generate") for given in (one, other))
    assert first_token(ours, theirs) == expected
    assert first_token(side(torch.tensor(one)), side(torch.tensor(other))) is None
