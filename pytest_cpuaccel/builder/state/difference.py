"""Differences between noted values and the present ones."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.builder.state.note import (
    CONTAINERS,
    SCALARS,
    UNSET,
    Note,
    are_same,
    attributes,
    equal,
    holds,
    items,
    links_of,
    own_attributes,
)
from pytest_cpuaccel.builder.state.search import TABLE

Path = tuple[str, ...]
"""Names of attributes, items and keys that lead from one object to another."""


@dataclass
class Difference:
    """Compares noted values with the present ones, down to the members that differ.

    ``modules`` and the model's parameters are compared elsewhere. If one is met here, it is equal if it is still the
    same object, or a parameter with the value of the noted one.
    """

    notes: Mapping[int, Note]
    modules: Collection[int]
    parameters: Mapping[int, Note]
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def between(self, before: Any, now: Any, path: Path = ()) -> Iterator[Path]:
        """Yield the paths to the differences between two values."""
        if isinstance(before, SCALARS):
            if not equal(before, now):
                yield path
        elif before is UNSET or now is UNSET or self._is_another_matter(before, path):
            if now is not before and not self._holds_the_same(before, now):
                yield path
        elif (id(before), id(now)) not in self._seen:
            self._seen.add((id(before), id(now)))
            for one, other in zip(links_of(before), links_of(now), strict=False):
                yield from self.between(one, other, path)
            yield from self._since_noted(before, now, path)

    def _is_another_matter(self, value: Any, path: Path) -> bool:
        if isinstance(value, nn.Module):
            return bool(path) and id(value) in self.modules
        return isinstance(value, nn.Parameter) and id(value) not in self.notes

    def _holds_the_same(self, before: Any, now: Any) -> bool:
        note = self.parameters.get(id(before))
        return note is not None and equal(note.saved, now)

    def _since_noted(self, before: Any, now: Any, path: Path) -> Iterator[Path]:
        note = self.notes.get(id(before))
        if note is None:
            if not _same(before, now):
                yield path
            return
        yield from self._of_items(note.own, own_attributes(now), path)
        has_items = isinstance(before, (*CONTAINERS, np.ndarray))
        if isinstance(before, (torch.Tensor, np.ndarray)) and not isinstance(note.saved, dict):
            if not equal(note.saved, now):
                yield path
        elif type(now) is not (type(before) if note.kind is object else note.kind):
            yield path
        elif has_items or note.kind is not object:
            yield from self._of_items(note.saved, items(now) if has_items else attributes(now), path)
        elif not holds(note, now):
            yield path

    def _of_items(self, saved: Mapping[Any, Any], present: Mapping[Any, Any], path: Path) -> Iterator[Path]:
        if len(saved) > TABLE:
            if not are_same(present, saved):
                yield path
            return
        for key in dict.fromkeys((*saved, *present)):
            deeper = (*path, str(key))
            if key in saved and key in present:
                yield from self.between(saved[key], present[key], deeper)
            else:
                yield deeper


def _same(before: Any, now: Any) -> bool:
    """Tell whether two values without members are the same, by their own ``==``."""
    if before is now or isinstance(before, (types.FunctionType, torch.Tensor)):
        return True
    if isinstance(before, type) or type(before) is not type(now):
        return False
    tells = any("__eq__" in vars(kind) for kind in type(before).__mro__[:-1])
    try:
        return not tells or bool(before == now)
    except Exception:
        return True
