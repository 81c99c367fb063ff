"""Digests and descriptions of models and inputs.

Different digests prove a difference; equal digests prove nothing. Only the model itself shows whether it still computes
the same.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.builder.source_code import code_digest
from pytest_cpuaccel.builder.state.search import TABLE, variables_outside
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.inputs import Inputs

_WORDS = 1 << 13
"""32-bit words in a row, when a tensor's bytes are summed up by rows and by columns."""

_MOST_FACTOR = 1 << 9
"""Factors of words are below it: a row's sum, of at most ``_WORDS * 2**31 * _MOST_FACTOR``, is exact in fp64."""

_ROWS = 16
"""Rows that are summed up at once: as many as a processor's cache holds in fp64."""


def model_key(model: nn.Module, weights: str = "") -> dict[str, str]:
    """Return a key that tells a model apart from others, the same in every process.

    ``weights`` is the stamp of parameters and buffers, taken here unless it is given. ``structure`` is a digest of the
    modules' types and plain settings, ``code`` one of the project's code behind them. Two models with equal keys may
    still compute different answers.
    """
    return {
        "weights": weights or weights_stamp(model),
        "structure": hashlib.sha256("\n".join(_structure(model)).encode()).hexdigest(),
        "code": code_digest(_code_of(model)),
    }


def weights_stamp(model: nn.Module) -> str:
    """Return a digest of the current parameters and buffers, like :func:`parameters_stamp`."""
    return f"{parameters_stamp(model)} {buffers_stamp(model)}"


def parameters_stamp(model: nn.Module) -> str:
    """Return a digest of the current parameters. They are read anew, because a write may not change a tensor's version.

    It is several times as fast as a cryptographic digest: sums of signed 32-bit words by rows and by columns, each word
    times a factor that depends on its place.
    """
    return _stamp(model.named_parameters(remove_duplicate=False))


def buffers_stamp(model: nn.Module) -> str:
    """Return a digest of the current buffers, like :func:`parameters_stamp`."""
    return _stamp(model.named_buffers(remove_duplicate=False))


def inputs_signature(inputs: Inputs) -> str:
    """Return names, dtypes and shapes of the tensors among the inputs, and the other values themselves."""
    return "; ".join(f"{name}={_leaf_signature(leaf)}" for name, leaf in inputs.leaves())


def inputs_digest(inputs: Inputs) -> str:
    """Return a digest of the inputs with every value in them; in which order keywords are given makes no difference."""
    named = Inputs(inputs.args, dict(sorted(inputs.kwargs.items())))
    digest = hashlib.sha256(inputs_signature(named).encode())
    for tensor in tree.tensors([named.args, dict(named.kwargs)]):
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def version(tensor: torch.Tensor) -> int:
    """Return a number that grows whenever a tensor is written to; inference tensors have none, and stay at 0."""
    return 0 if tensor.is_inference() else tensor._version


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a CPU tensor in row-major order, whatever its dtype.

    ``tensor.numpy()`` would forbid for ever that the tensor's memory grows.
    """
    held = tensor.detach().resolve_conj().resolve_neg().contiguous()
    if type(held) is not torch.Tensor or held.device.type != "cpu" or not held.data_ptr():
        return held.reshape(-1).view(torch.uint8).numpy().data
    memory: Any = (ctypes.c_ubyte * held.nbytes).from_address(held.data_ptr())
    memory.tensor = held  # as long as its bytes are read
    return memoryview(memory).cast("B")


def _leaf_signature(leaf: Any) -> str:
    if isinstance(leaf, torch.Tensor):
        return f"{leaf.dtype}{tuple(leaf.shape)}"
    if isinstance(leaf, np.ndarray):
        return f"numpy.{leaf.dtype}{leaf.shape}"
    if leaf is None or isinstance(leaf, (bool, int, float, str)):
        return repr(leaf)
    return f"{type(leaf).__qualname__}:{leaf if hasattr(leaf, 'to_dict') else ''}"


def _stamp(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.stride()}".encode())
        digest.update(_sums(tensor))
    return digest.hexdigest()


def _sums(tensor: torch.Tensor) -> bytes:
    """Return figures that change with any byte: sums of words by rows and by columns, and the bytes that fill no row.

    A change of several words is missed only if it is orthogonal to the factors of every row and of every column.
    Without factors, an exchange of rows in a permutation matrix would be missed.
    """
    data = np.frombuffer(tensor_bytes(tensor), np.uint8)
    rows = data.size // (4 * _WORDS)
    rest = data[rows * _WORDS * 4 :].tobytes()
    if not rows:
        return rest
    words = torch.from_numpy(data[: rows * _WORDS * 4].view(np.int32)).view(rows, _WORDS)
    of_rows, of_columns = _both_sums(words)
    return of_rows.numpy().tobytes() + of_columns.numpy().tobytes() + rest


def _both_sums(words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sums of int32 (n, m) by rows and by columns, as products in fp64: exact here, and far faster."""
    block = torch.empty(_ROWS, words.shape[1], dtype=torch.float64)
    by_column, by_row = _factors(words.shape[1]), _factors(len(words))
    of_rows, of_columns = [], torch.zeros(words.shape[1], dtype=torch.int64)
    for part, factors in zip(words.split(_ROWS), by_row.split(_ROWS), strict=True):  # type: ignore[no-untyped-call]
        numbers = block[: len(part)].copy_(part)
        of_rows.append(torch.mv(numbers, by_column))
        of_columns += torch.mv(numbers.t(), factors).long()
    return torch.cat(of_rows).long(), of_columns


@functools.lru_cache(maxsize=64)
def _factors(count: int) -> torch.Tensor:
    """Return random integers from 1 on, the same in every process: the algorithm of ``RandomState`` is frozen."""
    return torch.from_numpy(np.random.RandomState(count).randint(1, _MOST_FACTOR, count)).double()


def _structure(model: nn.Module) -> Iterator[str]:
    for name, child in model.named_modules():
        settings = {key: value for key, value in vars(child).items() if _is_setting(value)}
        yield f"{name} {type(child).__module__}.{type(child).__qualname__} {sorted(settings.items(), key=str)}"
    for variable in variables_outside(model):
        if _is_setting(value := variable.read()):
            yield f"{variable.name} {value!r}"
    config: Any = getattr(model, "config", None)
    if hasattr(config, "to_dict"):
        yield f"{sorted(config.to_dict().items(), key=str)} {getattr(config, '_attn_implementation', None)}"


def _is_setting(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_setting, value))
    if isinstance(value, dict):
        return len(value) <= TABLE and all(_is_setting(item) for entry in value.items() for item in entry)
    return value is None or isinstance(value, (bool, int, float, str, torch.dtype))


def _code_of(model: nn.Module) -> Iterator[Any]:
    for child in model.modules():
        yield type(child)
        for name, value in vars(child).items():
            if name.endswith("_hooks") and value:
                yield from value.values()
            elif callable(value) and not isinstance(value, nn.Module):
                yield value
