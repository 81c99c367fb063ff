"""The plan: which cells, how many pairs of builds in each, which gates judge them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.gates.cell import GateCell

SHORT = ("mlp", "transformer")
LONG = ("bert-base",)

LIMIT = 5
"""Per cent; every slowdown is held to it."""

TIGHT_LIMIT = 2
TIGHT_SLOWDOWN = 5
"""Besides A/A the only one that is held to the tight limit, of short calls."""

GOALS = ((LIMIT, 0), (LIMIT, 10), (TIGHT_LIMIT, TIGHT_SLOWDOWN))
"""Limits and slowdowns that goals are set for."""

OTHERS = 5
"""Cells of other slowdowns are judged by so many times fewer pairs."""

QUIET_ONLY = ("pytest-codspeed",)
"""Gates that take too long, 16 s a pair, to judge under every condition."""

OURS = "cpuaccel"
CHUNK = 2
"""Pairs of a cell that are judged in a row; then comes the next cell, so that an interrupted run is even."""


@dataclass(frozen=True)
class Plan:
    """``pairs`` are by model; other gates than ours judge the first ``rival_pairs`` of short calls at ``LIMIT``."""

    models: Sequence[str]
    backends: Sequence[str]
    conditions: Sequence[str]
    slowdowns: Sequence[int]
    limits: Sequence[int]
    gates: Sequence[str]
    pairs: Mapping[str, int]
    rival_pairs: int

    def chunks(self) -> Iterator[tuple[str, list[tuple[GateCell, range]]]]:
        """Yield conditions, each with cells and pairs to judge under it."""
        for first in range(0, max(self.pairs.values()), CHUNK):
            for condition in self.conditions:
                tasks = [
                    (cell, range(first, min(first + CHUNK, self._pairs_of(cell)))) for cell in self._cells(condition)
                ]
                yield condition, [(cell, pairs) for cell, pairs in tasks if pairs]

    def has(self, gate: str, cell: GateCell, pair: int) -> bool:
        """Tell whether a gate is to judge this pair of a cell."""
        if gate not in self.gates:
            return False
        if gate == OURS:
            return True
        is_for_all = cell.model in SHORT and cell.limit == LIMIT and (cell.limit, cell.slowdown) in GOALS
        return is_for_all and pair < self.rival_pairs and (gate not in QUIET_ONLY or cell.condition == "quiet")

    def _pairs_of(self, cell: GateCell) -> int:
        pairs = self.pairs[cell.model]
        return pairs if (cell.limit, cell.slowdown) in GOALS else pairs // OTHERS

    def _cells(self, condition: str) -> Iterator[GateCell]:
        for model, backend in itertools.product(self.models, self.backends):
            for limit, slowdown in itertools.product(self.limits, self.slowdowns):
                if limit == LIMIT or (model in SHORT and slowdown in (0, TIGHT_SLOWDOWN)):
                    yield GateCell(model, backend, condition, slowdown, limit)
