"""Copies of a call's inputs. Tensors that share memory in the call share it in the copy; objects are copied whole."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import is_cache

_CLOSED = (nn.Module, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def private_inputs(inputs: Inputs, dtype: torch.dtype | None = None) -> Inputs:
    """Return inputs that share no memory with these; floating-point tensors in ``dtype`` if one is given."""
    given = (inputs.args, dict(inputs.kwargs))
    args, kwargs = tree.map_leaves(_Copying(dtype, shared_memory(given)).copied, given)
    return Inputs(args, kwargs)


def attributes_of(leaf: Any) -> Mapping[str, Any]:
    """Return the attributes of a tensor or an object among inputs that a call may change."""
    if not is_object(leaf) and not isinstance(leaf, torch.Tensor):
        return {}
    return {name: value for name, value in getattr(leaf, "__dict__", {}).items() if not name.startswith("_")}


def is_object(leaf: Any) -> bool:
    """Tell whether a leaf is an object with attributes of its own: no tensor, no model, no code and no cache."""
    return (
        hasattr(leaf, "__dict__") and not isinstance(leaf, (torch.Tensor, np.ndarray, *_CLOSED)) and not is_cache(leaf)
    )


class Place(NamedTuple):
    """The memory of a tensor: the addresses of its first byte and of the byte after its last."""

    begin: int
    end: int
    tensor: torch.Tensor


def shared_memory(value: Any) -> list[list[Place]]:
    """Return the tensors of a nested value that share memory, in groups of two or more."""
    places = [_place(item) for item in tree.tensors(value) if _is_strided(item)]
    if len(places) < 2:
        return []
    places.sort(key=lambda place: (place.begin, -place.end))
    groups, end = [], -1
    for place in places:
        if place.begin >= end:
            groups.append([place])
        else:
            groups[-1].append(place)
        end = max(end, place.end)
    return [group for group in groups if len(group) > 1 and _is_one_storage(place.tensor for place in group)]


def _is_strided(tensor: torch.Tensor) -> bool:
    return (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_nested or tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
        and tensor.numel() > 0
    )


def _place(tensor: torch.Tensor) -> Place:
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return Place(tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.itemsize, tensor)


def _is_one_storage(tensors: Iterable[torch.Tensor]) -> bool:
    kinds = {(item.dtype, item.untyped_storage().data_ptr(), item.untyped_storage().nbytes()) for item in tensors}
    return len(kinds) == 1


@dataclass
class _Copying:
    """Copies leaves, each object once; ``groups`` share memory."""

    dtype: torch.dtype | None
    groups: list[list[Place]]
    _views: dict[int, torch.Tensor] = field(default_factory=dict)
    _known: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in self.groups:
            begin, end = group[0].begin, max(place.end for place in group)
            first = group[0].tensor.detach()
            length = (end - begin) // first.itemsize
            memory = self._cast(torch.as_strided(first, (length,), (1,), first.storage_offset()))
            for place in group:
                offset = (place.begin - begin) // first.itemsize
                tensor = place.tensor
                self._views[id(tensor)] = torch.as_strided(memory, tensor.size(), tensor.stride(), offset)

    def copied(self, leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return self._tensor(leaf)
        if isinstance(leaf, np.ndarray):
            return self._once(leaf, np.ndarray.copy)
        return self._once(leaf, _copy_of_object) if is_cache(leaf) or is_object(leaf) else leaf

    def _tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        copied = self._views.get(id(tensor))
        if copied is None:
            copied = self._cast(tensor.detach() if tensor.requires_grad else tensor)
        if attributes := attributes_of(tensor):
            vars(copied).update(tree.map_leaves(self.copied, dict(attributes)))
        return copied

    def _cast(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.dtype is None or not tensor.is_floating_point():
            return tensor.clone()
        return tensor.to(self.dtype, copy=True)

    def _once(self, value: Any, make: Any) -> Any:
        if id(value) not in self._known:
            self._known[id(value)] = make(value)
        return self._known[id(value)]


def _copy_of_object(value: Any) -> Any:
    """Return a copy, or the object itself if it can't be copied, such as an open file."""
    try:
        return copy.deepcopy(value)
    except Exception:
        return value
