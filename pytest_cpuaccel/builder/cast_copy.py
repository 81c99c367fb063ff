"""Copies of a model that calculate in another floating-point type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.private_copy import private_copy
from pytest_cpuaccel.core import tree

_LARGE = 2**20
"""Bytes of a parameter from which on it is not kept in two types."""

_KEEPS_THE_TYPE = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)

_NO_MEMORY = "a parameter that is cast at each use has no memory of its own"


def cast_copy(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a private copy of a model with floating-point parameters and buffers in ``dtype``.

    Complex values become complex128 with float64; other types have no complex counterpart, so they stay as they are.

    Raises:
        BuildError: the model can't be copied.
    """
    copied = private_copy(model)
    copied._apply(lambda tensor: _cast(tensor, dtype))  # type: ignore[no-untyped-call]
    return copied


def light_cast_copy(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return such a copy whose large parameters share the original's memory and are cast at each use.

    It is for models that don't write to their parameters; a direct write raises ``RuntimeError``.

    Raises:
        BuildError: the model can't be copied.
    """
    copied = private_copy(model, {id(item): _light(item, dtype) for item in model.parameters()})
    for child in copied.modules():
        child._buffers.update(
            {name: item if item is None else _cast(item, dtype) for name, item in child._buffers.items()}
        )
    return copied


def plain(value: Any) -> Any:
    """Return a value; for a parameter that is cast at each use, its present value."""
    return value._kept.to(value.dtype) if isinstance(value, _CastWhenUsed) else value


class _CastWhenUsed(torch.Tensor):
    """A tensor that every operation casts; its stored values keep their type."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    _kept: torch.Tensor

    @staticmethod
    def __new__(cls, kept: torch.Tensor, dtype: torch.dtype) -> _CastWhenUsed:
        made: _CastWhenUsed = torch.Tensor._make_wrapper_subclass(
            cls, kept.shape, strides=kept.stride(), dtype=dtype, device=kept.device
        )
        made._kept = kept
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{self.dtype} of {self._kept!r}"

    def data_ptr(self) -> int:
        raise RuntimeError(_NO_MEMORY)

    def __dlpack__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(_NO_MEMORY)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _KEEPS_THE_TYPE:
            return cls(args[0]._kept, args[0].dtype)
        if any(isinstance(written, cls) for written in _written(func, args)):
            raise RuntimeError(f"{func} writes to a parameter that is cast at each use")
        cast_args, cast_kwargs = tree.map_leaves(plain, (args, kwargs or {}))
        return func(*cast_args, **cast_kwargs)


def _written(func: Any, args: tuple[Any, ...]) -> list[Any]:
    """Return the arguments that an operation writes to."""
    schema = zip(func._schema.arguments, args, strict=False)
    return [value for argument, value in schema if argument.alias_info is not None and argument.alias_info.is_write]


def _light(parameter: nn.Parameter, dtype: torch.dtype) -> nn.Parameter:
    is_large = parameter.is_floating_point() and parameter.nbytes >= _LARGE
    cast: Callable[..., torch.Tensor] = _CastWhenUsed if is_large else _cast
    return nn.Parameter(cast(parameter.detach(), dtype), requires_grad=False)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Cast a tensor; complex weights have no bf16 or fp16, and ``to`` would drop their imaginary part."""
    if tensor.is_complex():
        return tensor.to(torch.complex128) if dtype is torch.float64 else tensor
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
