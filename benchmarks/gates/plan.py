"""The plan: which cells, how many pairs of builds in each, which gates judge them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.gates.cell import Cell

SHORT = ("mlp", "transformer")
LONG = ("bert-base",)

LIMIT = 5
"""Per cent; every slowdown is held to it."""

TIGHT_LIMIT = 2
TIGHT_SLOWDOWN = 5
"""Besides A/A the only one that is held to the tight limit."""

OURS = "cpuaccel"
CHUNK = 5
"""Pairs of a cell that are judged in a row; then comes the next cell, so that an interrupted run is even."""


@dataclass(frozen=True)
class Plan:
    """``pairs`` are by model; gates other than ours judge the first ``rival_pairs`` of them."""

    models: Sequence[str]
    backends: Sequence[str]
    conditions: Sequence[str]
    slowdowns: Sequence[int]
    limits: Sequence[int]
    gates: Sequence[str]
    pairs: Mapping[str, int]
    rival_pairs: int

    def chunks(self) -> Iterator[tuple[str, list[tuple[Cell, range]]]]:
        """Yield conditions, each with cells and pairs to judge under it."""
        for first in range(0, max(self.pairs.values()), CHUNK):
            for condition in self.conditions:
                tasks = [
                    (cell, range(first, min(first + CHUNK, self.pairs[cell.model]))) for cell in self._cells(condition)
                ]
                yield condition, [(cell, pairs) for cell, pairs in tasks if pairs]

    def has(self, gate: str, pair: int) -> bool:
        """Tell whether a gate is to judge this pair."""
        return gate in self.gates and (gate == OURS or pair < self.rival_pairs)

    def _cells(self, condition: str) -> Iterator[Cell]:
        for model, backend in itertools.product(self.models, self.backends):
            for limit, slowdown in itertools.product(self.limits, self.slowdowns):
                if limit == LIMIT or slowdown in (0, TIGHT_SLOWDOWN):
                    yield Cell(model, backend, condition, slowdown, limit)
