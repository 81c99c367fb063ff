"""Copies of models that may be altered: they refer to nothing of the original."""

from __future__ import annotations

import copy
import copyreg
import functools
import io
import queue
import socket
import sqlite3
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.core.errors import BuildFailureError

_UNCOPYABLE: tuple[type, ...] = (
    *(type(make()) for make in (threading.Lock, threading.RLock, queue.SimpleQueue)),
    types.GeneratorType,
    types.ModuleType,
    io.TextIOWrapper,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.FileIO,
    socket.socket,
    sqlite3.Connection,
)


def private_copy(model: nn.Module, parameters: Mapping[int, nn.Parameter] | None = None) -> nn.Module:
    """Return a deep copy of a model, in eval mode, that shares no memory with it.

    Functions that were set on its modules, as hooks or in place of a method, may close over the model or a part of it.
    The copy's functions close over the copy. Locks, files, connections and generators can't be copied and are shared.
    ``parameters`` maps the identity of the model's parameters to those that the copy takes in their place.

    Raises:
        BuildError: the model holds something that can't be copied.
    """
    return _copied(model, dict(parameters or {}))


def private_outline(model: nn.Module) -> nn.Module:
    """Return a copy like :func:`private_copy`, but with parameters of zeros that take no memory.

    Raises:
        BuildError: the model holds something that can't be copied.
    """
    return private_copy(model, {id(item): _outline(item) for item in model.parameters()})


def _outline(parameter: nn.Parameter) -> nn.Parameter:
    zeros = parameter.detach().new_zeros(()).expand(parameter.shape)
    return nn.Parameter(zeros, requires_grad=parameter.requires_grad)


def _copied(model: nn.Module, copies: dict[int, Any]) -> nn.Module:
    copies |= {id(item): item.detach().clone() for item in _computed_tensors(model)}
    with_attributes = [item for item in model.parameters() if vars(item)]
    for item in with_attributes:
        copies.setdefault(id(item), copy.deepcopy(item))
    try:
        copied: nn.Module = deep_copy(model, copies).eval()
        for item in with_attributes:  # which torch leaves behind
            vars(copies[id(item)]).update(deep_copy(dict(vars(item)), copies))
    except Exception as error:
        raise BuildFailureError(f"{type(model).__name__} can't be copied: {reason(error)}") from error
    for child in copied.modules():
        _rebind(vars(child), copies)
    return copied


def _computed_tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    """Return the tensors that hooks compute from parameters (weight_norm, pruning); torch refuses to copy them."""
    for child in model.modules():
        yield from (item for item in vars(child).values() if isinstance(item, torch.Tensor) and not item.is_leaf)


def deep_copy(value: Any, copies: dict[int, Any] | None = None) -> Any:
    """Return a deep copy that shares uncopyable objects; ``copies`` maps the identity of originals to their copies."""
    kinds = {*_UNCOPYABLE, type(sys.stdout), type(sys.stderr)}
    before = {kind: copyreg.dispatch_table.get(kind) for kind in kinds}
    copyreg.dispatch_table.update(dict.fromkeys(kinds, lambda _: ""))  # a string: copy.deepcopy takes it as it is
    try:
        return copy.deepcopy(value, copies)
    finally:
        for kind, reduction in before.items():
            if reduction is None:
                del copyreg.dispatch_table[kind]
            else:
                copyreg.dispatch_table[kind] = reduction


def _rebind(attributes: dict[str, Any], copies: dict[int, Any]) -> None:
    """Make the functions in a module's attributes, lists, dicts and hooks close over copies."""
    for name, value in list(attributes.items()):
        if isinstance(value, dict):
            value.update({key: _rebound(item, copies) for key, item in value.items() if _is_code(item)})
        elif isinstance(value, list):
            value[:] = [_rebound(item, copies) if _is_code(item) else item for item in value]
        elif _is_code(value):
            attributes[name] = _rebound(value, copies)


def _is_code(value: Any) -> bool:
    return isinstance(value, (types.FunctionType, types.MethodType, functools.partial))


def _rebound(value: Any, copies: dict[int, Any]) -> Any:
    """Return the copy's counterpart of a value that a function of the original refers to; the value if none."""
    if id(value) in copies or not _leads_to(copies, value, set()):
        return copies.get(id(value), value)
    if isinstance(value, types.MethodType):
        return types.MethodType(_rebound(value.__func__, copies), _rebound(value.__self__, copies))
    if isinstance(value, functools.partial):
        function, *args = [_rebound(item, copies) for item in (value.func, *value.args)]
        return functools.partial(function, *args, **_rebound_items(value.keywords, copies))
    leads = [_leads_to(copies, _content(cell), set()) for cell in value.__closure__ or ()]
    cells = [types.CellType() if lead else cell for cell, lead in zip(value.__closure__ or (), leads, strict=True)]
    rebound = copies[id(value)] = _with_cells(value, tuple(cells))  # before they are filled: it may refer to itself
    for old, new, lead in zip(value.__closure__ or (), cells, leads, strict=True):
        if lead:
            new.cell_contents = _rebound(old.cell_contents, copies)
    rebound.__defaults__ = value.__defaults__ and tuple(_rebound(item, copies) for item in value.__defaults__)
    rebound.__kwdefaults__ = value.__kwdefaults__ and _rebound_items(value.__kwdefaults__, copies)
    return rebound


def _rebound_items(items: Mapping[str, Any], copies: dict[int, Any]) -> dict[str, Any]:
    return {name: _rebound(item, copies) for name, item in items.items()}


def _leads_to(copies: Mapping[int, Any], value: Any, seen: set[int]) -> bool:
    """Tell whether a function, method or partial refers to a copied object; ``seen`` holds those already visited."""
    if id(value) in copies:
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        parts = (*map(_content, value.__closure__ or ()), *defaults)
        return any(_leads_to(copies, part, seen) for part in parts)
    if isinstance(value, types.MethodType):
        return any(_leads_to(copies, part, seen) for part in (value.__func__, value.__self__))
    if isinstance(value, functools.partial):
        return any(_leads_to(copies, part, seen) for part in (value.func, *value.args, *value.keywords.values()))
    return False


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _with_cells(function: types.FunctionType, cells: tuple[types.CellType, ...]) -> types.FunctionType:
    copied = types.FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)
    functools.update_wrapper(copied, function)
    del copied.__wrapped__  # type: ignore[attr-defined]
    vars(copied).update(vars(function))
    return copied
