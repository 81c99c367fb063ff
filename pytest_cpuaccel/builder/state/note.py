"""A note: the content of one object at one moment, and the way to restore it."""

from __future__ import annotations

import array
import collections
import contextvars
import copy
import ctypes
import functools
import itertools
import math
import random
import threading
import types
import warnings
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import nn

UNSET = object()
"""Stands for the value of a variable that doesn't exist."""

SCALARS = (bool, int, float, complex, str, bytes, type(None))
_SCALARS = frozenset(SCALARS)
CONTAINERS = (list, tuple, set, dict, collections.deque)
BYTES = (bytearray, array.array)
CTYPES = (ctypes._SimpleCData, ctypes.Structure, ctypes.Union, ctypes.Array)
CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
ITERATORS = (itertools.count, itertools.cycle, *map(type, (iter([]), iter(()), iter(range(0)), iter({}), iter(""))))
"""Iterators that can't be set back, but can be copied."""
GENERATORS = (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)
WITH_STATE = (threading.Event, weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
"""Types with state, of packages whose other types have none."""

_LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)

_WITHOUT_STATE = frozenset(
    {
        *("torch", "numpy", "logging", "threading", "re", "pathlib", "weakref", "enum"),
        *("asyncio", "concurrent", "multiprocessing", "unittest"),
    }
)
"""Packages whose objects hold no state that answers could depend on, or none that can be restored."""

_STATE_OF_EVERY_MODULE = {"training", "_buffers", "_parameters", "_modules", "_forward_hooks", "_forward_pre_hooks"}
_STATE_OF_EVERY_MODULE |= {"_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs"}
"""Transformers installs hooks in a model's first call, and marks the model as having them."""

_NO_STATE_OF_A_MODULE = frozenset(vars(nn.Module())) - _STATE_OF_EVERY_MODULE
"""Attributes of every module: its backward hooks and flags."""


@dataclass(frozen=True)
class Note:
    """``saved`` is a copy of ``value``'s content: for a container or an object, its items or attributes one by one.

    ``kind`` was its type, because an object may change it; ``own`` are the attributes of a container's or array's
    subclass.
    """

    value: Any
    saved: Any
    kind: type = object
    own: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(value: Any) -> Note | None:
        """Return the note of an object; None if it holds nothing that could change."""
        if isinstance(value, torch.Tensor):
            return Note(value, value.detach().clone()) if _is_plain(value) else None
        if isinstance(value, np.ndarray):
            return Note(value, items(value) if value.dtype == object else value.copy(), own=own_attributes(value))
        if isinstance(value, CONTAINERS):
            return Note(value, items(value), own=own_attributes(value))
        if isinstance(value, memoryview):
            return Note.of(value.obj)
        if isinstance(value, BYTES):
            return Note(value, value[:] if isinstance(value, array.array) else bytes(value))
        if isinstance(value, CTYPES):
            return Note(value, bytes(value))
        if isinstance(value, contextvars.ContextVar):
            return Note(value, value.get(UNSET))
        if isinstance(value, GENERATORS):
            return Note(value, generator_state(value))
        if isinstance(value, ITERATORS):
            saved = copied(value)
            return None if saved is None else Note(value, saved)
        return Note(value, attributes(value), type(value)) if is_object_with_state(value) else None

    @property
    def children(self) -> Mapping[Any, Any]:
        """Return the members of the noted container or object, by key, place or name, without scalars."""
        held = self.saved if isinstance(self.saved, dict) and not isinstance(self.value, GENERATORS) else {}
        if self.own:
            held = held | dict(self.own)
        if _SCALARS.issuperset(map(type, held.values())):  # a vocabulary: many at no cost
            return {}
        return {name: item for name, item in held.items() if not isinstance(item, SCALARS)}

    @property
    def replacement(self) -> Any:
        """Return the replacement of ``value``: itself, unless it can't be set back."""
        return copied(self.saved) if isinstance(self.value, ITERATORS) else self.value

    def restore(self, replaced: Mapping[int, Any]) -> None:
        """Restore ``value``'s content; ``replaced`` maps the identity of children to their replacements."""
        value = self.value
        if isinstance(value, torch.Tensor):
            _restore_tensor(value, self.saved)
        elif isinstance(value, np.ndarray):
            _restore_array(value, self.saved)
        elif isinstance(value, BYTES):
            value[:] = self.saved
        elif isinstance(value, CTYPES):
            ctypes.memmove(ctypes.addressof(value), self.saved, len(self.saved))
        elif isinstance(value, contextvars.ContextVar):
            if self.saved is not UNSET:
                value.set(self.saved)
        elif isinstance(value, GENERATORS):
            _restore_generator(value, self.saved)
        elif isinstance(value, CONTAINERS):
            _restore_items(value, _with(replaced, self.saved))
        elif not isinstance(value, ITERATORS):
            if type(value) is not self.kind:
                object.__setattr__(value, "__class__", self.kind)
            _restore_attributes(value, _with(replaced, self.saved))
        if self.own or own_attributes(value):
            _restore_attributes(value, _with(replaced, self.own))


def _with(replaced: Mapping[int, Any], held: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the saved content with the replacements in it."""
    return {name: replaced.get(id(item), item) for name, item in held.items()} if replaced else held


def generator_state(value: Any) -> Any:
    """Return the state of a generator of random numbers."""
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, random.Random):
        return value.getstate()
    return value.bit_generator.state if isinstance(value, np.random.Generator) else value.get_state(legacy=False)


def _restore_generator(value: Any, state: Any) -> None:
    if isinstance(value, random.Random):
        value.setstate(state)
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = state
    else:
        value.set_state(state)


def holds(note: Note, present: Any) -> bool:
    """Tell whether a noted value without children still has its content."""
    if isinstance(present, GENERATORS):
        return (
            str(generator_state(present)) == str(note.saved)
            if not isinstance(present, torch.Generator)
            else bool(torch.equal(present.get_state(), note.saved))
        )
    if isinstance(present, (*BYTES, *CTYPES, memoryview)):
        return bytes(present) == bytes(note.saved)
    if isinstance(present, contextvars.ContextVar):
        return present.get(UNSET) is note.saved or bool(present.get(UNSET) == note.saved)
    return same_iterator(note.saved, present)


def items(value: Any) -> dict[Any, Any]:
    """Return a container's items by key or by place; a set's items by themselves."""
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, set):
        return {item: item for item in value}
    return dict(enumerate(value.flat if isinstance(value, np.ndarray) else value))


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes that an object keeps in its dict or its slots; of a module, its own state."""
    own = dict(getattr(value, "__dict__", ()))
    if isinstance(value, nn.Module):
        return {name: item for name, item in own.items() if name not in _NO_STATE_OF_A_MODULE}
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{kind.__name__.lstrip('_')}{slot}" if slot.startswith("__") and slot[-2:] != "__" else slot
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                own[name] = getattr(value, name)
    return own


def own_attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of a container or array of a class of its own."""
    return dict(vars(value)) if isinstance(value, (*CONTAINERS, np.ndarray)) and hasattr(value, "__dict__") else {}


def _restore_array(value: Any, saved: Any) -> None:
    if not value.flags.writeable or value.shape != getattr(saved, "shape", value.shape):
        return
    if isinstance(saved, dict):
        for place, item in saved.items():
            value.flat[place] = item
    else:
        value[...] = saved


def is_object_with_state(value: Any) -> bool:
    """Tell whether a value is an object whose attributes Python code can read and write."""
    if isinstance(value, nn.Module):
        return True
    kind = type(value)
    if isinstance(value, WITH_STATE):
        return True
    if isinstance(value, CODE) or kind.__module__.partition(".")[0] in _WITHOUT_STATE:
        return False
    return hasattr(value, "__dict__") or any("__slots__" in vars(base) for base in kind.__mro__[:-1])


def equal(one: Any, other: Any) -> bool:
    """Tell whether two tensors, arrays or scalars are of one type and equal; NaN equals NaN."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and _equal_tensors(one, other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.shape == other.shape and one.tobytes() == other.tobytes()
    both_nan = all(isinstance(item, float) and math.isnan(item) for item in (one, other))
    return type(one) is type(other) and (both_nan or bool(one == other))


def links_of(value: Any) -> Iterable[Any]:
    """Return the objects that a bound method, a partial, a wrapper or a weak reference refers to."""
    if isinstance(value, types.MethodType):
        return (value.__self__, value.__func__)
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, weakref.ref):
        return (value(),)
    if isinstance(value, nn.Module) or not callable(value):
        return ()
    return (getattr(value, "__dict__", {}).get("__wrapped__"),)


def same_iterator(one: Any, other: Any) -> bool:
    """Tell whether two copyable iterators have the same next item; True for any other value."""
    return not isinstance(one, ITERATORS) or repr(next(copied(one), None)) == repr(next(copied(other), None))


def copied(iterator: Any) -> Any:
    """Return an independent copy of an iterator; None if there can be none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.14 has no copies of itertools' any more
            if not isinstance(iterator, itertools.cycle):
                return copy.copy(iterator)
            reduced: Any = iterator.__reduce__()
            _, (inner,), (passed, is_first_pass) = reduced
            found: Any = itertools.cycle(copy.copy(inner))
            found.__setstate__(([*passed], is_first_pass))
            return found
    except TypeError:
        return None


def _is_plain(tensor: torch.Tensor) -> bool:
    return not tensor.is_nested and tensor.device.type == "cpu" and tensor.layout in _LAYOUTS


def _equal_tensors(one: torch.Tensor, other: torch.Tensor) -> bool:
    if not _is_plain(other) or one.layout != other.layout:
        return False
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.layout is not torch.strided:
        return all(map(_equal_tensors, _pieces(one), _pieces(other)))
    if torch.equal(one, other):
        return True
    may_be_nan = one.is_floating_point() or one.is_complex()
    return may_be_nan and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _pieces(sparse: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the indices and values of a sparse tensor."""
    if sparse.layout is torch.sparse_coo:
        whole = sparse.coalesce()
        return whole.indices(), whole.values()
    if sparse.layout in (torch.sparse_csr, torch.sparse_bsr):
        return sparse.crow_indices(), sparse.col_indices(), sparse.values()
    return sparse.ccol_indices(), sparse.row_indices(), sparse.values()


def _restore_tensor(value: torch.Tensor, saved: torch.Tensor) -> None:
    if _equal_tensors(value, saved):
        return
    with torch.no_grad():
        if value.layout is torch.sparse_coo:  # whose ``data`` has indices of its own
            value.copy_(saved)
        elif value.shape == saved.shape:
            value.data.copy_(saved)
        else:  # resized in place
            value.data = saved.clone()


def _restore_items(value: Any, saved: Mapping[Any, Any]) -> None:
    present = items(value)
    if isinstance(value, tuple) or are_same(present, saved):
        return
    value.clear()
    if isinstance(value, dict):
        value.update(saved)
    elif isinstance(value, set):
        value.update(saved.values())
    else:
        value.extend(saved.values())


def _restore_attributes(value: Any, saved: Mapping[str, Any]) -> None:
    present = attributes(value)
    own = threading.local if isinstance(value, threading.local) else object
    for name, item in saved.items():
        if name not in present or present[name] is not item:
            own.__setattr__(value, name, item)
    for name in present.keys() - saved.keys():
        own.__delattr__(value, name)


def are_same(present: Mapping[Any, Any], saved: Mapping[Any, Any]) -> bool:
    """Tell whether two mappings have the same keys in order, and under each the same object."""
    return len(present) == len(saved) and [*present] == [*saved] and all(map(is_, present.values(), saved.values()))
