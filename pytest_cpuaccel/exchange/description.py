"""The description of nested values in JSON: tensors are named there, and kept elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from pytest_cpuaccel.core.errors import UsageError

MODEL_OUTPUTS = "transformers.modeling_outputs"
"""The only module whose classes a bundle may name."""

LONGEST_INTEGER = 64
"""Bits that no integer in a bundle has."""

TYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
"""Types of tensors that are described."""


class Describer:
    """Describes values, and gathers their tensors by name, as contiguous copies."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def described(self, value: Any, place: str, *, exactly: bool) -> Any:
        """Return a description of ``value``; ``place`` is its name for messages.

        ``exactly`` asks for containers that are restored with their type. Otherwise names and order are enough.

        Raises:
            UsageError: a bundle can't hold a value of this type.
        """
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, torch.Tensor):
            return self._tensor(value, place)
        if type(value) is int and value.bit_length() < LONGEST_INTEGER:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        members = self._members(value, place, exactly)
        if members is None:
            raise UsageError(f"{place} is a {type(value).__name__}, which a bundle can't hold")
        return members

    def _members(self, value: Any, place: str, exactly: bool) -> dict[str, Any] | None:
        if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
            raise UsageError(f"{place} has keys that are no texts, which a bundle can't hold")
        if type(value) is dict or (isinstance(value, Mapping) and not exactly):
            return {"dict": self._named(value, place, exactly)}
        if isinstance(value, Mapping) and _is_model_output(value):
            return {"model_output": self._named(value, place, exactly), "class": type(value).__name__}
        kind = "list" if isinstance(value, list) else "tuple"
        if type(value) in (list, tuple) or (isinstance(value, (list, tuple)) and not exactly):
            items = enumerate(value)
            return {kind: [self.described(item, f"{place}.{number}", exactly=exactly) for number, item in items]}
        return None

    def _named(self, value: Mapping[str, Any], place: str, exactly: bool) -> list[list[Any]]:
        return [[key, self.described(item, f"{place}.{key}", exactly=exactly)] for key, item in value.items()]

    def _tensor(self, tensor: torch.Tensor, place: str) -> dict[str, Any]:
        is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout is torch.strided
        if not is_plain or tensor.device.type != "cpu" or tensor.dtype not in TYPES or tensor.is_nested:
            kind = f"{tensor.dtype} {type(tensor).__name__} on {tensor.device.type}, {tensor.layout}"
            raise UsageError(f"{place} is a {kind.replace('torch.', '')}, which a bundle can't hold")
        order = _order(tensor)
        name = f"t{len(self.tensors)}"
        self.tensors[name] = tensor.detach().resolve_neg().permute(order).clone(memory_format=torch.contiguous_format)
        return {"tensor": name} if order == sorted(order) else {"tensor": name, "order": order}


def _is_model_output(value: Any) -> bool:
    return type(value).__module__ == MODEL_OUTPUTS and hasattr(value, "to_tuple")


def _order(tensor: torch.Tensor) -> list[int]:
    """The dimensions in the order in which they lie in memory, for a tensor without gaps; else as they are."""
    as_they_are = list(range(tensor.dim()))
    if tensor.is_contiguous():
        return as_they_are
    strides = tensor.stride()
    order = sorted(as_they_are, key=lambda dim: -strides[dim])
    return order if tensor.permute(order).is_contiguous() else as_they_are
