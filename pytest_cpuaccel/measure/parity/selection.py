"""A selection: indices that eager returned, with the scores that it chose them by.

Whoever chooses among equal scores is free: which index comes first is no part of an answer. So an index that differs is
held to eager's own scores at both indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.measurement.parity import Tie
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.margin import margin_bound

aten = torch.ops.aten

OF_ONE = frozenset({aten.argmax.default, aten.argmin.default})
"""The operators that return indices alone."""

OF_SEVERAL = {
    aten.max.dim: 1,
    aten.min.dim: 1,
    aten.median.dim: 1,
    aten.nanmedian.dim: 1,
    aten.mode.default: 1,
    aten.topk.default: 2,
    aten.kthvalue.default: 2,
    aten.sort.default: 1,
    aten.sort.stable: 2,
}
"""The operators that return values and indices, with the place of ``dim`` among their arguments."""


@dataclass(frozen=True)
class Selection:
    """``scores`` (..., n), ``exact`` the same in fp64 or None, ``indices`` (..., k) into the last dimension."""

    scores: torch.Tensor
    indices: torch.Tensor
    exact: torch.Tensor | None = None


@dataclass(frozen=True)
class Selected:
    """What a run returned, what it selected indices from, and whether it selected at all."""

    answer: Any
    found: tuple[Selection, ...] = ()
    selects: bool = False


def selected(run: Callable[[], Any], like: Any) -> Selected:
    """Return what ``run`` returns, and what it selected indices from, if ``like``, its output, holds integers."""
    watch = _Watch(any(_is_index(leaf) for leaf in tree.tensors(like)))
    try:
        with watch:
            return Selected(run(), tuple(watch.found), watch.selects)
    except Exception:  # a model that no dispatch mode can follow
        return Selected(run())


def of_outputs(output: Any, found: Sequence[Selection], exact: Sequence[Selection]) -> tuple[Selection, ...]:
    """Return the selections whose indices are outputs; ``exact`` are those of a run in fp64."""
    paired = len(found) == len(exact)
    whole = [replace(item, exact=exact[place].scores) if paired else item for place, item in enumerate(found)]
    leaves = [leaf.detach() for leaf in tree.tensors(output) if _is_index(leaf)]
    return tuple(item for item in whole if any(_holds(item, leaf) for leaf in leaves))


def is_selected(leaf: torch.Tensor, selections: Sequence[Selection]) -> bool:
    """Tell whether an output is what was selected, rather than what was made of it."""
    return any(_holds(item, leaf) for item in selections)


def tie_of(
    actual: torch.Tensor, expected: torch.Tensor, selections: Sequence[Selection], precision: Precision
) -> Tie | None:
    """Return how far apart eager's scores lie at the indices that differ; None where nothing tells.

    ``actual`` and ``expected`` have one shape. Where several selections gave these indices, the farthest counts.
    """
    ties = [_tie(actual, item, precision) for item in selections if _holds(item, expected)]
    return None if not ties or None in ties else max((tie for tie in ties if tie), key=lambda tie: tie.excess)


def _tie(actual: torch.Tensor, selection: Selection, precision: Precision) -> Tie | None:
    chosen, scores = actual.reshape(selection.indices.shape).long(), selection.scores
    ordered = chosen.sort(-1).values
    if bool((chosen < 0).any() or (chosen >= scores.shape[-1]).any() or (ordered[..., 1:] == ordered[..., :-1]).any()):
        return None
    return max(_ties(chosen, selection, precision), key=lambda tie: tie.excess, default=None)


def _ties(chosen: torch.Tensor, selection: Selection, precision: Precision) -> Iterator[Tie]:
    rows = selection.scores.reshape(-1, selection.scores.shape[-1])
    exact = rows if selection.exact is None else selection.exact.reshape(rows.shape)
    wanted, got = (side.reshape(len(rows), -1) for side in (selection.indices, chosen))
    for row in (wanted != got).any(-1).nonzero()[:, 0].tolist():
        scores = rows[row].double()
        off = scores[got[row]] - scores[wanted[row]]
        margin = float(torch.where(scores[got[row]] == scores[wanted[row]], 0.0, off.abs()).max())
        finite = scores.isfinite() & exact[row].isfinite()
        bound = margin_bound(scores[finite], exact[row][finite], precision) if bool(finite.any()) else 0.0
        yield Tie(0.0 if margin == 0 else margin / bound if bound else float("inf"), margin, bound)


def _is_index(leaf: torch.Tensor) -> bool:
    return leaf.dtype in (torch.int64, torch.int32) and leaf.numel() > 0


def _holds(selection: Selection, leaf: torch.Tensor) -> bool:
    indices = selection.indices
    return indices.numel() == leaf.numel() and torch.equal(indices.flatten(), leaf.flatten().long())


def dimension_of(func: Any, args: Sequence[Any], given: Mapping[str, Any]) -> int | None:
    """Return the dimension along which a call of one of these operators chooses; None for all of them."""
    place = 1 if func in OF_ONE else OF_SEVERAL[func]
    dim: int | None = args[place] if len(args) > place else given.get("dim", None if func in OF_ONE else -1)
    return dim


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes, while entered, whether indices are chosen, and where ``in_full`` also from what."""

    def __init__(self, in_full: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Selection] = []
        self.selects = False
        self._in_full = in_full

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        answer = func(*args, **given)
        if func in OF_ONE or func in OF_SEVERAL:
            self.selects = True
            if self._in_full:
                self._note(args[0], answer if func in OF_ONE else answer[1], dimension_of(func, args, given))
        return answer

    def _note(self, scores: torch.Tensor, indices: torch.Tensor, dim: int | None) -> None:
        if not scores.dim():
            return
        if dim is None:
            self.found.append(Selection(scores.detach().flatten().clone(), indices.detach().reshape(1).clone()))
            return
        kept = indices if indices.dim() == scores.dim() else indices.unsqueeze(dim)
        self.found.append(Selection(*(item.detach().movedim(dim, -1).clone() for item in (scores, kept))))
