"""Nested values that models take and return: tensors in tuples, dicts, dataclasses and ModelOutputs."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from pytest_cpuaccel.core.kv_cache import is_cache

_PLAIN = (bool, int, float, str, type(None))

Leaf = Any
"""Any value that is not a container: a tensor, an ndarray, a Python scalar, None, or an opaque object."""


def map_leaves(function: Callable[[Leaf], Leaf], value: Any) -> Any:
    """Return ``value`` with ``function`` applied to every leaf and all containers rebuilt as they were."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if type(value) is dict:  # the commonest container, on the hot path of recording
        return {key: map_leaves(function, item) for key, item in value.items()}
    if isinstance(value, Mapping):
        return _rebuild_mapping(value, {key: map_leaves(function, item) for key, item in value.items()})
    if isinstance(value, tuple):
        items = [map_leaves(function, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, list):
        return [map_leaves(function, item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _rebuild_dataclass(value, {name: map_leaves(function, item) for name, item in children(value) or ()})
    return function(value)


def named_leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """Yield every leaf with its dotted path: ``logits``, ``hidden_states.2``, ``0``; ``""`` for a bare leaf."""
    members = children(value)
    if members is None:
        yield prefix, value
        return
    for name, child in members:
        yield from named_leaves(child, f"{prefix}.{name}" if prefix else str(name))


def children(value: Any) -> list[tuple[Any, Any]] | None:
    """Return a container's members by name or place; None for a leaf."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (tuple, list)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)]
    return None


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in ``value``, in the order of :func:`named_leaves`."""
    return (leaf for _, leaf in named_leaves(value) if isinstance(leaf, torch.Tensor))


def clone(value: Any) -> Any:
    """Return a copy that shares no memory with ``value``: tensors detached, arrays and caches copied."""
    return map_leaves(_clone_leaf, value)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are alike in structure and equal, down to dtypes and strides.

    NaN equals nothing. A value that is neither container, tensor nor plain Python value is never the same as another.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        try:
            return one.dtype is other.dtype and one.stride() == other.stride() and torch.equal(one, other)
        except RuntimeError:  # sparse, on the meta device or on two devices: there is nothing to compare
            return False
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    members = children(one)
    return isinstance(one, _PLAIN) and bool(one == other) if members is None else same(members, children(other))


def same_values(one: Leaf, other: Leaf) -> bool:
    """Tell whether two leaves are of one type and equal, where NaN equals NaN and an unknown object only itself."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.dtype is not other.dtype or one.shape != other.shape:
            return False
        may_be_nan = one.is_floating_point() or one.is_complex()
        try:
            same = torch.equal(one, other)
            return same or (may_be_nan and bool(((one == other) | (one.isnan() & other.isnan())).all()))
        except RuntimeError:  # sparse or nested: the same only as itself
            return one is other
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, _PLAIN):
        return type(one) is type(other) and (one == other or (one != one and other != other))
    return one is other


def cast_floats(value: Any, dtype: torch.dtype) -> Any:
    """Return ``value`` with every floating-point tensor in ``dtype``; integers and the rest as they were."""
    return map_leaves(
        lambda leaf: leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf,
        value,
    )


def _clone_leaf(leaf: Leaf) -> Leaf:
    if isinstance(leaf, torch.Tensor):
        return (leaf.detach() if leaf.requires_grad else leaf).clone()
    if isinstance(leaf, (np.ndarray, set, bytearray)):
        return leaf.copy()
    if is_cache(leaf):  # which forward() alters in place
        return copy.deepcopy(leaf)
    return leaf


def _rebuild_mapping(original: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """Return a mapping of the original's type, or a plain dict if that type can't be made of keywords or a dict."""
    if hasattr(original, "to_tuple"):  # transformers.ModelOutput: fields in, unset fields stay None
        return type(original)(**items)
    try:
        return type(original)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _rebuild_dataclass(original: Any, items: Mapping[str, Any]) -> Any:
    """Return a dataclass of the original's type; fields that ``__init__`` does not take are set afterwards."""
    taken = {item.name for item in dataclasses.fields(original) if item.init}
    rebuilt = dataclasses.replace(original, **{name: item for name, item in items.items() if name in taken})
    for name in items.keys() - taken:
        object.__setattr__(rebuilt, name, items[name])
    return rebuilt
