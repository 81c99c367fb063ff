"""Equality of values of any type, by content and not by identity."""

from __future__ import annotations

import datetime
import enum
import types
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np
import torch

from pytest_cpuaccel.core import tree

_EXACT = (
    *(bool, int, str, bytes, bytearray, range, type, enum.Enum, PurePath, UUID),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
    *(np.dtype, np.character, np.datetime64, np.timedelta64),
)
_NOT_LOOKED_INTO = (type, types.ModuleType, torch.nn.Module)


def equal(one: Any, other: Any) -> bool | None:
    """Tell whether two values are equal, NaN to NaN and tensors bit for bit; None if that is unknown.

    Containers are compared by their members. An object whose type defines no ``==`` is compared by its attributes.
    """
    return _equal(one, other, ())


def is_exact(value: Any) -> bool:
    """Tell whether a value's type is never rounded by arithmetic: text, a date, a type, a set of such."""
    if isinstance(value, (set, frozenset)):
        return all(map(is_exact, value))
    if isinstance(value, slice):
        return all(item is None or is_exact(item) for item in (value.start, value.stop, value.step))
    return isinstance(value, _EXACT)


def attributes(value: Any) -> dict[str, Any]:
    """Return what an object has in ``__dict__`` and in slots, by name."""
    slots = (name for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name))
    return {name: getattr(value, name) for name in slots} | dict(getattr(value, "__dict__", {}))


def _equal(one: Any, other: Any, seen: tuple[int, ...]) -> bool | None:
    if type(one) is not type(other):
        return False
    if isinstance(one, (torch.Tensor, np.ndarray)):
        return tree.same_values(one, other)
    if id(one) in seen:  # a value that refers to itself; it is equal so far
        return True
    seen = (*seen, id(one))
    if (members := tree.children(one)) is not None:
        return _all_equal(dict(members), dict(tree.children(other) or ()), seen)
    if not _is_by_identity(one):
        return _by_operator(one, other)
    if callable(one) or isinstance(one, _NOT_LOOKED_INTO) or not (own := attributes(one)):
        return None
    return _all_equal(own, attributes(other), seen)


def _all_equal(some: dict[Any, Any], others: dict[Any, Any], seen: tuple[int, ...]) -> bool | None:
    if some.keys() != others.keys():
        return False
    found = [value is others[name] or _equal(value, others[name], seen) for name, value in some.items()]
    return False if False in found else None if None in found else True


def _by_operator(one: Any, other: Any) -> bool | None:
    try:
        is_equal = bool(one == other) or bool(one != one and other != other)
    except Exception:  # such as an array among the members, which has no single truth value
        return None
    if not is_equal and isinstance(one, (set, frozenset)) and any(map(_is_by_identity, (*one, *other))):
        return None
    return is_equal


def _is_by_identity(value: Any) -> bool:
    kind: Any = type(value)
    return isinstance(value, torch.Tensor) or (kind.__eq__ is object.__eq__ and not is_exact(value))


def _slots(kind: type) -> Iterable[str]:
    slots: str | Iterable[str] = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots
