"""Hints are found piece by piece, and one is said only of what holds in every piece."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.diagnose import places
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity import pieces
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import lines

SHAPE = (4, 6, 20)
Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 16)
    monkeypatch.setattr(places, "_FEW", 4)


FIRST, SECOND = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))


def _hints(change: Change) -> str:
    found = compare(
        {"first": change(FIRST.clone()), "second": SECOND},
        References({"first": FIRST, "second": SECOND}),
        Inputs(),
        Terms(ParityBudget(), Precision.FP32),
    )
    return "\n".join(line for line in lines(found) if line.startswith("hint: "))


def _at(*index: slice | int) -> Change:
    def change(values: torch.Tensor) -> torch.Tensor:
        values[index] += 1
        return values

    return change


EVERY = slice(None)
SAID: dict[str, tuple[Change, str]] = {
    "rows": (lambda values: values[[2, 0, 3, 1]], "are eager's rows [2, 0, 3, 1]"),
    "shifted": (lambda values: values.roll(1, 1), "shifted by one position"),
    "swapped": (lambda _: SECOND.clone(), "is what eager returns as 'second'"),
    "coarse": (lambda values: values.bfloat16().float(), "is a bf16 number"),
    "zero": (torch.zeros_like, "is zero throughout"),
    "scaled": (lambda values: values * 2, "is eager's times 2"),
    "one row": (_at(3), "only 1 of 4 rows (3)"),
    "one position": (_at(EVERY, 5), "only at 1 of 6 positions (5)"),
    "one column": (_at(EVERY, EVERY, 19), "only 1 of 20 columns (19)"),
}


@pytest.mark.parametrize("kind", list(SAID))
def test_what_is_so_in_every_piece_is_said(kind: str) -> None:
    change, hint = SAID[kind]
    assert hint in _hints(change)


@pytest.mark.parametrize("kind", list(SAID))
@pytest.mark.parametrize("place", [(0, 0, 0), (2, 3, 7), (1, 5, 19)])
def test_what_one_piece_denies_is_not_said(kind: str, place: tuple[int, int, int]) -> None:
    change, hint = SAID[kind]

    def almost(values: torch.Tensor) -> torch.Tensor:
        values = change(values)
        values[place] += 30.1
        values[0, 1, 2] += 30.1
        return values

    assert hint not in _hints(almost)
