"""The input shapes for which an exported graph is right."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shapes:
    """A set of input shapes.

    ``condition`` is a Python expression over the inputs ``L['t0']``, ``L['t1']``..., in the language that torch
    writes its guards in. ``singles`` are (input, axis) pairs, grouped by axis, along which the graph was proved
    on size 1 too: torch.export itself vouches only for sizes from 2 up.
    """

    condition: str
    singles: tuple[tuple[tuple[int, int], ...], ...] = ()

    def include(self, shapes: Iterable[Sequence[int]]) -> bool:
        """Tell whether the graph is right for inputs of these shapes."""
        sizes = [list(shape) for shape in shapes]
        for group in self.singles:
            if all(len(sizes[place]) > axis and sizes[place][axis] == 1 for place, axis in group):
                for place, axis in group:
                    sizes[place][axis] = 2
        return _holds(self.condition, tuple(map(tuple, sizes)))

    @staticmethod
    def exactly(tensors: Sequence[torch.Tensor]) -> Shapes:
        """Return the shapes of these tensors and no others."""
        return Shapes.fixed_but(tensors, set())

    @staticmethod
    def fixed_but(tensors: Sequence[torch.Tensor], free: set[tuple[int, int]]) -> Shapes:
        """Return the shapes of these tensors with the (input, axis) pairs in ``free`` of any size but 0."""
        return Shapes(
            _all_of(
                f"L['t{place}'].size()[{axis}] {'>= 1' if (place, axis) in free else f'== {size}'}"
                for place, tensor in enumerate(tensors)
                for axis, size in enumerate(tensor.shape)
            )
        ).of_ranks(tensors)

    @staticmethod
    def of_texts(tensors: Sequence[torch.Tensor], alike: Sequence[Sequence[int]]) -> Shapes:
        """Return the shapes of these tensors, (batch, length), of any sizes but 0.

        All have one batch, and those at the places of a group in ``alike`` one length.
        """
        size = "L['t{}'].size()[{}]"
        lengths = [(place, group[0]) for group in alike for place in group]
        return Shapes(
            _all_of(
                [
                    *(f"{size.format(place, axis)} >= 1" for place in range(len(tensors)) for axis in (0, 1)),
                    *(f"{size.format(place, 0)} == {size.format(0, 0)}" for place in range(1, len(tensors))),
                    *(f"{size.format(one, 1)} == {size.format(other, 1)}" for one, other in lengths if one != other),
                ]
            )
        ).of_ranks(tensors)

    def of_ranks(self, tensors: Sequence[torch.Tensor]) -> Shapes:
        """Return these shapes, limited to those with as many dimensions as ``tensors``."""
        ranks = (f"L['t{place}'].dim() == {tensor.dim()}" for place, tensor in enumerate(tensors))
        return Shapes(_all_of([*ranks, self.condition]), self.singles)


def _all_of(conditions: Iterable[str]) -> str:
    return " and ".join(condition for condition in conditions if condition)


@functools.lru_cache(maxsize=4096)
def _holds(condition: str, shapes: tuple[Shape, ...]) -> bool:
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    tensors = [torch.empty(shape, device="meta") for shape in shapes]
    try:
        return bool(ShapeEnv().evaluate_guards_expression(condition, tensors))
    except ZeroDivisionError:  # a guard divides by a size, and this one is 0
        return False
