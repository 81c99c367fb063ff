"""Floating-point types on the way into a model and out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pytest_cpuaccel.core import tree


def float_dtype(value: Any) -> torch.dtype:
    """Return the type of the first floating-point tensor in ``value``; float32 when there is none."""
    return next((leaf.dtype for leaf in tree.tensors(value) if leaf.is_floating_point()), torch.float32)


def arguments_in(dtype: torch.dtype, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with its floating-point arguments cast to ``dtype``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*tree.cast_floats(args, dtype), **tree.cast_floats(kwargs, dtype))

    return call


def results_in(dtype: torch.dtype, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with its floating-point results cast to ``dtype``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return tree.cast_floats(function(*args, **kwargs), dtype)

    return call
