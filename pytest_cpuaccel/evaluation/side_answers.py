"""A workload's answers as the two sides of a comparison of environments gave them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer, Call
from pytest_cpuaccel.core.equality import equal
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparer import Comparer
from pytest_cpuaccel.judge.parity.comparison import Comparison


@dataclass(frozen=True)
class SideAnswers:
    """The answers of one side to the calls of a workload, in order."""

    calls: Sequence[Call]
    answers: Sequence[Answer]

    def worst(self, comparer: Comparer) -> Comparison:
        """Return the worst comparison with what eager answers here."""
        pairs = zip(self.calls, self.answers, strict=True)
        return max((_compared(comparer, *pair) for pair in pairs), key=lambda found: found.outcome.severity)


def largest_move(ours: SideAnswers, theirs: SideAnswers) -> float | None:
    """Return the largest difference between answers, and between what the model wrote to its inputs.

    None where they have tensors of other names or shapes, or other values that aren't equal.
    """
    moves = [_move(*pair) for pair in zip(ours.answers, theirs.answers, strict=True)]
    return None if None in moves else max((move for move in moves if move is not None), default=None)


def first_token(ours: SideAnswers, theirs: SideAnswers) -> int | None:
    """Return the first place at which token sequences of ``generate()`` differ, from 0; None where none does."""
    if ours.calls[0].method != "generate":
        return None
    places = [_place(*pair) for pair in zip(ours.answers, theirs.answers, strict=True)]
    return min((place for place in places if place is not None), default=None)


def _compared(comparer: Comparer, call: Call, answer: Answer) -> Comparison:
    """An answer's comparison. Where tokens differ, only fp32 is judged by them: the side's own logits aren't known."""
    asked = replace(call, output=answer.output, written=answer.written, heard=None)
    if call.method != "generate":
        return comparer.compare(asked, comparer.references(call))
    found = comparer.compare_generated(asked, by_build=False)
    by_tokens = comparer.evaluation.backend.precision is Precision.FP32 and not comparer.evaluation.is_of_candidate
    if found.outcome is not Outcome.FAIL or by_tokens:
        return found
    return replace(found, outcome=Outcome.INCONCLUSIVE)


def _tensors(answer: Answer) -> dict[str, torch.Tensor]:
    return {name: leaf for name, leaf in tree.named_leaves(answer.output) if isinstance(leaf, torch.Tensor)}


def _move(one: Answer, other: Answer) -> float | None:
    ours, theirs = (dict(tree.named_leaves([answer.output, dict(answer.written)])) for answer in (one, other))
    if ours.keys() != theirs.keys():
        return None
    moves = [_distance(leaf, theirs[name]) for name, leaf in ours.items()]
    return None if None in moves else max((move for move in moves if move is not None), default=0.0)


def _distance(one: tree.Leaf, other: tree.Leaf) -> float | None:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return _difference(one, other) if one.shape == other.shape else None
    return 0.0 if one is other or equal(one, other) else None


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest absolute difference; infinite where one alone has a NaN, or infinities are others."""
    ours, theirs = one.double(), other.double()
    unequal = (ours != theirs) & ~(ours.isnan() & theirs.isnan())
    moved = (ours - theirs)[unequal].abs().nan_to_num(nan=math.inf, posinf=math.inf)
    return float(moved.max()) if moved.numel() else 0.0


def _place(one: Answer, other: Answer) -> int | None:
    for ours, theirs in zip(_tensors(one).values(), _tensors(other).values(), strict=False):
        if ours.dim() == 2 and theirs.dim() == 2 and not ours.is_floating_point() and len(ours) == len(theirs):
            length = min(ours.shape[1], theirs.shape[1])
            differ = (ours[:, :length] != theirs[:, :length]).any(0).nonzero()
            if len(differ):
                return int(differ[0])
            return None if ours.shape == theirs.shape else length
    return None
