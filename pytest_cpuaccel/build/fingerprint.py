"""What a build depends on, as digests: the model's weights and code, and the inputs it is built for."""

from __future__ import annotations

import hashlib
import inspect
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.inputs import Inputs

_known: weakref.WeakKeyDictionary[nn.Module, tuple[tuple[Any, ...], str]] = weakref.WeakKeyDictionary()


def model_digest(module: nn.Module) -> str:
    """Return a digest of a model's weights, buffers, config, settings and source code.

    Two models with one digest compute the same function. Remembered for a module until one of its tensors is
    written to or replaced.
    """
    state = _state_stamp(module)
    known = _known.get(module)
    if known is not None and known[0] == state:
        return known[1]
    digest = hashlib.sha256()
    for name, tensor in _named_tensors(module):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor_bytes(tensor))
    for line in _description(module):
        digest.update(line.encode())
    _known[module] = (state, digest.hexdigest())
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


def _state_stamp(module: nn.Module) -> tuple[Any, ...]:
    return tuple((name, tensor.data_ptr(), tensor._version) for name, tensor in _named_tensors(module))


def _description(module: nn.Module) -> Iterator[str]:
    for name, child in module.named_modules():
        settings = {key: value for key, value in vars(child).items() if _is_setting(key, value)}
        yield f"{name} {type(child).__module__}.{type(child).__qualname__} {sorted(settings.items())}"
    if hasattr(module, "config"):
        yield str(module.config)
    for kind in {type(child): None for child in module.modules()}:
        yield _source(kind)


def _is_setting(key: str, value: object) -> bool:
    plain = isinstance(value, (bool, int, float, str, tuple)) or value is None
    return plain and not key.startswith("_") and key != "training"


def _source(kind: type) -> str:
    """Source code of a module class; libraries' classes are covered by their versions."""
    if kind.__module__.partition(".")[0] in {"torch", "transformers"}:
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""
