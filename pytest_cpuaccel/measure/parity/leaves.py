"""Pairs of leaves: each output of eager with the backend's output of the same name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer
from pytest_cpuaccel.core.equality import attributes
from pytest_cpuaccel.core.kv_cache import STATE_OUTPUTS, is_cache
from pytest_cpuaccel.core.pattern import matches
from pytest_cpuaccel.measure.parity.reordered import Reordered
from pytest_cpuaccel.measure.parity.selection import Selection

BARE = "output"
"""Name of an output that is no member of anything."""

_BITS = 64
"""Bits of an integer in a tensor, including its sign."""

_AFTER = " after the call"
"""What follows an input's name where the values that the call left in it are meant."""


@dataclass(frozen=True)
class OutputPair:
    """One output under the backend and under eager; arrays and numbers have become tensors.

    ``expected64`` and ``rounding`` are eager's output in fp64 and in the backend's precision, where known, ``running``
    that with long sums as running sums, the longest of which has ``longest`` terms; the longest that was left in
    eager's order has ``longest_kept``. ``chosen`` are the selections that indices among the outputs come from,
    ``tied`` the elements that hang on choices between equal scores, which ``choosers``, operators, made.
    """

    name: str
    actual: Any
    expected: Any
    expected64: torch.Tensor | None = None
    rounding: torch.Tensor | None = None
    running: torch.Tensor | None = None
    longest: int = 0
    longest_kept: int = 0
    chosen: tuple[Selection, ...] = ()
    tied: torch.Tensor | None = None
    choosers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pairing:
    """``missing`` are names that only eager has, ``extra`` those that only the backend has."""

    pairs: tuple[OutputPair, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Return the names of all outputs of either side."""
        return [*(pair.name for pair in self.pairs), *self.missing, *self.extra]


def pair_leaves(
    actual: Any, expected: Any, expected64: Any = None, rounding: Any = None, reordered: Reordered | None = None
) -> Pairing:
    """Pair outputs by name; by position where one side has no names (a tuple against a dict), with a note.

    Key/value caches are state for a next step, no answer, and are left out, as transformers' Trainer does.
    """
    of_eager, of_backend = _leaves(expected), _leaves(actual)
    notes: tuple[str, ...] = ()
    if of_eager.keys() != of_backend.keys() and _is_nameless(of_eager) != _is_nameless(of_backend):
        of_backend = _renamed(of_backend, of_eager)
        side = "eager" if _is_nameless(of_eager) else "backend"
        notes = (f"outputs were matched by position: the {side}'s have no names",)
    of_eager, of_backend = _answers(of_eager), _answers(of_backend)
    exact, rounded = _leaves(expected64), _leaves(rounding)
    reordered = reordered or Reordered(None, 0)
    running = _leaves(reordered.answer)
    pairs = tuple(
        OutputPair(
            name,
            of_backend[name],
            leaf,
            expected64=_twin(leaf, exact.get(name)),
            rounding=_twin(leaf, rounded.get(name)),
            running=_twin(leaf, running.get(name)),
            longest=reordered.longest,
            longest_kept=reordered.longest_kept,
        )
        for name, leaf in of_eager.items()
        if name in of_backend
    )
    return Pairing(
        pairs=pairs,
        missing=tuple(name for name, leaf in of_eager.items() if name not in of_backend and leaf is not None),
        extra=tuple(name for name, leaf in of_backend.items() if name not in of_eager and leaf is not None),
        notes=notes,
    )


def select(pairing: Pairing, patterns: tuple[str, ...]) -> Pairing:
    """Return the part of a pairing whose names match one of the patterns."""
    return dataclasses.replace(
        pairing,
        pairs=tuple(pair for pair in pairing.pairs if _matches_any(pair.name, patterns)),
        missing=tuple(name for name in pairing.missing if _matches_any(name, patterns)),
        extra=tuple(name for name in pairing.extra if _matches_any(name, patterns)),
    )


def float_pairs(pairing: Pairing) -> Iterator[OutputPair]:
    """Yield the pairs of floating-point tensors; nested ones can't be calculated with."""
    for pair in pairing.pairs:
        if all(_is_of_floats(side) for side in (pair.actual, pair.expected)):
            yield pair


def holds_tensors(value: Any, depth: int = 3) -> bool:
    """Tell whether an object has tensors among its attributes, or among those of its attributes."""
    held = [*value] if isinstance(value, (set, frozenset)) else [*attributes(value).values()]
    for _, leaf in tree.named_leaves(held):
        if isinstance(leaf, torch.Tensor):
            return True
        if not callable(leaf) and depth and holds_tensors(leaf, depth - 1):
            return True
    return False


def _is_of_floats(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and not value.is_nested


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(matches(name, pattern) for pattern in patterns)


def _leaves(value: Any) -> dict[str, Any]:
    if isinstance(value, Answer):
        written = {written_name(name): _as_tensor(leaf) for name, leaf in value.written.items()}
        return _leaves(value.output) | written
    return {name or BARE: _as_tensor(leaf) for name, leaf in tree.named_leaves(value)}


def written_name(name: str) -> str:
    """Return what the values are called that a call left in the input of this name."""
    return f"{name}{_AFTER}"


def _as_tensor(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        leaf = leaf.detach().cpu()
        return leaf if leaf.layout is torch.strided else leaf.to_dense()
    if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc":
        return torch.from_numpy(np.array(leaf))
    return _number(leaf) if isinstance(leaf, (Number, Decimal)) else leaf


def _number(leaf: Any) -> Any:
    """A Python number as a tensor; itself where that can't hold it."""
    if isinstance(leaf, (bool, int)):
        return torch.tensor(leaf) if leaf.bit_length() < _BITS else leaf
    if isinstance(leaf, complex):
        return torch.tensor(leaf, dtype=torch.complex128)
    try:
        return torch.tensor(float(leaf), dtype=torch.float64)
    except (OverflowError, TypeError, ValueError):
        return leaf


def _is_nameless(leaves: dict[str, Any]) -> bool:
    names = [name for name in leaves if not name.endswith(_AFTER)]
    return all(name == BARE or name.replace(".", "").isdigit() for name in names)


def _renamed(leaves: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Name leaves by position; where a cache was dropped, the others have moved up."""
    names = iter(like if len(leaves) == len(like) else _answers(like))
    return {next(names, name): leaf for name, leaf in leaves.items()}


def _answers(leaves: dict[str, Any]) -> dict[str, Any]:
    return {name: leaf for name, leaf in leaves.items() if not _is_state(name, leaf)}


def _is_state(name: str, leaf: Any) -> bool:
    return name.split(".")[0] in STATE_OUTPUTS or is_cache(leaf)


def _twin(leaf: Any, other: Any) -> torch.Tensor | None:
    """Eager's output in another precision, where it is one that can stand beside the original."""
    if isinstance(leaf, torch.Tensor) and isinstance(other, torch.Tensor) and leaf.shape == other.shape:
        return other
    return None
