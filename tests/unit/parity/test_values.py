"""The judgement of outputs that are no tensors."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch

from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.judge.parity.comparison import Comparison
from pytest_cpuaccel.judge.parity.terms import Terms
from pytest_cpuaccel.measure.parity.references import References
from tests.unit.parity.shown import facts, lines


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Box:
    def __init__(self, *held: Any) -> None:
        self.held = held


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


@dataclass(eq=False)
class Point:
    x: int


def judge(actual: Any, expected: Any, precision: Precision = Precision.FP32) -> Comparison:
    return compare(
        (torch.ones(2), actual), References((torch.ones(2), expected)), Inputs(), Terms(ParityBudget(), precision)
    )


DIFFERENT = {
    "complex": (complex(1, 2), complex(1, 3)),
    "slice": (slice(0, 3), slice(0, 5)),
    "range": (range(3), range(5)),
    "fraction": (Fraction(1, 3), Fraction(1, 2)),
    "decimal": (Decimal("1.5"), Decimal("2.5")),
    "size": (torch.Size([3]), torch.Size([5])),
    "dtype": (torch.float32, torch.bfloat16),
    "device": (torch.device("cpu"), torch.device("meta")),
    "layout": (torch.strided, torch.sparse_coo),
    "enum": (Colour.RED, Colour.BLUE),
    "numpy-number": (np.float32(1), np.float32(2)),
    "numpy-text": (np.str_("a"), np.str_("b")),
    "numpy-date": (np.datetime64("2020-01-01"), np.datetime64("2020-01-02")),
    "array-of-text": (np.array(["a"]), np.array(["b"])),
    "text": ("a", "b"),
    "bytes": (b"a", b"b"),
    "bytearray": (bytearray(b"a"), bytearray(b"b")),
    "date": (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    "moment": (datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2)),
    "duration": (datetime.timedelta(1), datetime.timedelta(2)),
    "set": ({1, 2}, {1, 3}),
    "frozenset": (frozenset("a"), frozenset("b")),
    "path": (PurePosixPath("a"), PurePosixPath("b")),
    "uuid": (uuid.UUID(int=1), uuid.UUID(int=2)),
    "class": (Box, Slotted),
    "large-int": (1 << 70, 1 << 71),
    "dataclass": (Point(1), Point(2)),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_values_are_compared(one: Any, other: Any) -> None:
    same, different = judge(one, one), judge(one, other)
    assert same.outcome is Outcome.PASS
    assert not lines(same)
    assert facts(same)["compared_elements"] > 2
    assert different.outcome is Outcome.FAIL


def test_a_rounded_complex_number_is_held_to_a_tolerance() -> None:
    assert judge(complex(1, 1 + 1e-7), complex(1, 1)).outcome is Outcome.PASS


OBJECTS = {
    "attributes": (Box(1, "a"), Box(1, "a"), Box(2, "a")),
    "slots": (Slotted(1), Slotted(1), Slotted(2)),
    "nested": (Box(Box(1)), Box(Box(1)), Box(Box(2))),
    "set-of-floats": ({0.5}, {0.5}, {0.25}),
    "slice-of-floats": (slice(0.5), slice(0.5), slice(0.25)),
}


@pytest.mark.parametrize(("one", "equal", "other"), OBJECTS.values(), ids=OBJECTS)
def test_objects_are_compared_by_what_they_hold_and_never_blamed(one: Any, equal: Any, other: Any) -> None:
    assert judge(one, equal).outcome is Outcome.PASS
    assert not lines(judge(one, equal))
    different = judge(one, other)
    assert different.outcome is Outcome.INCONCLUSIVE
    assert "'1' can't be judged" in different.sentence


@pytest.mark.parametrize("held", [torch.ones(2), [torch.ones(2)], Box(torch.ones(2)), Slotted(torch.ones(2))])
def test_what_holds_tensors_is_not_judged(held: Any) -> None:
    assert judge(Box(held), Box(held)).outcome is Outcome.INCONCLUSIVE
    assert judge({torch.ones(1)}, {torch.ones(1)}).outcome is Outcome.INCONCLUSIVE


def test_an_object_of_which_nothing_is_known_is_said_not_to_have_been_compared() -> None:
    found = judge(object(), object())
    assert found.outcome is Outcome.PASS
    assert lines(found) == ("'1' was not compared: a object is not looked into",)


def test_an_object_that_refers_to_itself_is_compared() -> None:
    one, other = Box(1), Box(1)
    one.held, other.held = (one, 1), (other, 1)
    assert judge(one, other).outcome is Outcome.PASS
    other.held = (other, 2)
    assert judge(one, other).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16, Precision.INT8])
def test_text_that_a_reduced_precision_may_change_cannot_be_judged(precision: Precision) -> None:
    found = judge("a dog", "a cat", precision)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert f"which rounding to {precision.value} may bring about" in found.sentence
    assert judge("a cat", "a cat", precision).outcome is Outcome.PASS
