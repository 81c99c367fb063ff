"""What a build depends on, as digests: the model's weights and code, and the inputs it is built for."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import inspect
import weakref
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.inputs import Inputs

_TORCH_KEEPS_THERE = frozenset(vars(nn.Module())) - {"_forward_hooks", "_forward_pre_hooks"}
"""Attributes of every module that hold its tensors and children, or change no output."""

_weights_known: weakref.WeakKeyDictionary[nn.Module, tuple[tuple[Any, ...], str]] = weakref.WeakKeyDictionary()


def model_digest(module: nn.Module) -> str:
    """Return a digest of a model's weights, buffers, config, settings, hooks and source code.

    Two models with one digest compute the same function.
    """
    digest = hashlib.sha256(_weights_digest(module).encode())
    for line in _description(module):
        digest.update(line.encode())
    return digest.hexdigest()


def inputs_signature(inputs: Inputs) -> str:
    """Return names, dtypes and shapes of the tensors among the inputs, and the other values themselves."""
    return "; ".join(
        f"{name}={_leaf_signature(leaf)}" for name, leaf in tree.named_leaves([inputs.args, dict(inputs.kwargs)])
    )


def inputs_digest(inputs: Inputs) -> str:
    """Return a digest of the inputs with every value in them."""
    digest = hashlib.sha256(inputs_signature(inputs).encode())
    for tensor in tree.tensors([inputs.args, dict(inputs.kwargs)]):
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def version(tensor: torch.Tensor) -> int:
    """Return a number that grows whenever a tensor is written to; inference tensors have none, and stay at 0."""
    return 0 if tensor.is_inference() else tensor._version


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a CPU tensor in row-major order, whatever its dtype."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _leaf_signature(leaf: Any) -> str:
    if isinstance(leaf, torch.Tensor):
        return f"{leaf.dtype}{tuple(leaf.shape)}"
    if leaf is None or isinstance(leaf, (bool, int, float, str)):
        return repr(leaf)
    return f"{type(leaf).__qualname__}:{leaf if hasattr(leaf, 'to_dict') else ''}"


def _named_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _weights_digest(module: nn.Module) -> str:
    """Remembered for a module until one of its tensors is written to or replaced."""
    stamp = tuple((name, tensor.data_ptr(), version(tensor)) for name, tensor in _named_tensors(module))
    known = _weights_known.get(module)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = hashlib.sha256()
    for name, tensor in _named_tensors(module):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor_bytes(tensor))
    _weights_known[module] = (stamp, digest.hexdigest())
    return digest.hexdigest()


def _description(module: nn.Module) -> Iterator[str]:
    configs: dict[int, None] = {}  # a transformers model gives its config to every layer
    for name, child in module.named_modules():
        yield f"{name} {_described(type(child))}"
        for key, value in sorted(vars(child).items()):
            if key in _TORCH_KEEPS_THERE or id(value) in configs:
                continue
            if hasattr(value, "to_dict"):
                configs[id(value)] = None
            yield f"{key}={_described(value)}"


def _described(value: Any) -> str:
    """What a setting is, in words that are the same in every process."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, enum.Enum, torch.dtype)):
        return repr(value)
    if isinstance(value, (torch.Tensor, np.ndarray)):
        tensor = torch.as_tensor(value)
        return f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(tensor_bytes(tensor)).hexdigest()}"
    if isinstance(value, Mapping):  # without the keys of hooks, which torch numbers through the process
        return f"{[(key if isinstance(key, str) else '', _described(item)) for key, item in value.items()]}"
    if isinstance(value, (tuple, list)):
        return f"{[_described(item) for item in value]}"
    if isinstance(value, functools.partial):
        return _described((value.func, value.args, value.keywords))
    if hasattr(value, "__qualname__"):
        named = getattr(value, "__func__", value)
        return f"{named.__module__}.{named.__qualname__} {_source(named)}"
    if hasattr(value, "to_dict"):  # transformers' configs, whose private attributes hold hashes of the process
        return _described({**value.to_dict(), "attention": getattr(value, "_attn_implementation", None)})
    if dataclasses.is_dataclass(value):  # one with slots has no __dict__
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return f"{_described(type(value))} {_described(fields)}"
    return f"{_described(type(value))} {_described(vars(value)) if isinstance(value, SimpleNamespace) else ''}"


@functools.cache
def _source(kind: Any) -> str:
    """Source code of a class or function; libraries' own are covered by their versions."""
    if (kind.__module__ or "").partition(".")[0] in {"builtins", "torch", "transformers"}:
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""
