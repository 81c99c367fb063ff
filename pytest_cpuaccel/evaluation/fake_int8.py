"""Eager with int8 rounding: the weights and inputs of its linear and convolution layers, rounded as int8 would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.core.errors import CpuaccelError

T = TypeVar("T")

_LINEAR = (functional.linear,)
_PRODUCTS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm, torch.Tensor.mm)
_CONVOLUTIONS = (
    torch.conv1d,
    torch.conv2d,
    torch.conv3d,
    functional.conv1d,
    functional.conv2d,
    functional.conv3d,
)
_WEIGHT_FIRST = frozenset((*_LINEAR, *_CONVOLUTIONS))
_NOT_FOLLOWED = frozenset(
    ("lstm", "gru", "rnn_tanh", "rnn_relu", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
)
"""Functions that some backends round inside of, by name."""

_ALL = 99
"""More dimensions than any tensor has."""

_STEPS = 255
_LARGEST = 127


class FakeInt8(TorchFunctionMode):
    """Rounds, while entered, what layers multiply; they still calculate in fp32.

    Weights become symmetric int8, with one scale for each output channel. Activations become asymmetric uint8: with one
    scale for each token before a linear layer, with one for each example before a convolution. This is what the
    finest of usual int8 kernels do. With ``per_tensor`` they have one scale altogether, as in most of them, and with
    ``outputs`` so have products, as in those with ranges from data. Only products with a parameter are rounded, not
    those of two activations.
    ``layers`` counts the products that were, ``is_whole`` tells whether nothing else was seen that backends round.
    """

    def __init__(self, *, per_tensor: bool = False, outputs: bool = False) -> None:
        super().__init__()
        self._last = _ALL if per_tensor else 0
        self._outputs = outputs
        self.layers = 0
        self.is_whole = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func`` on rounded operands where it is a product with a weight."""
        given = kwargs or {}
        if getattr(func, "__name__", "") in _NOT_FOLLOWED:
            self.is_whole = False
        if func in _WEIGHT_FIRST and len(args) > 1 and _is_matrix(args[1]):
            tokens = 1 if func in _LINEAR else args[1].dim() - 1
            inputs = _activations(args[0], self._last or tokens)
            return self._product(func, (inputs, _weights(args[1], 0), *args[2:]), given)
        if func in _PRODUCTS and len(args) == 2 and _is_weight(args[1]) and args[1].dim() == 2:
            return self._product(func, (_activations(args[0], self._last or 1), _weights(args[1], 1)), given)
        if func is torch.addmm and len(args) == 3 and _is_weight(args[2]):
            inputs = _activations(args[1], self._last or 1)
            return self._product(func, (args[0], inputs, _weights(args[2], 1)), given)
        if func is functional.multi_head_attention_forward and len(args) > 11 and _is_weight(args[5]):
            return self._product(func, _of_attention(args, self._last or 1), given)
        return func(*args, **given)

    def _product(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        self.layers += 1
        found = func(*args, **given)
        if not self._outputs:
            return found
        if isinstance(found, tuple):  # of an attention, which returns its weights too
            return (_activations(found[0], _ALL), *found[1:])
        return _activations(found, _ALL)


def in_fake_int8(answer: Callable[[], T]) -> T | None:
    """Return what ``answer`` gives with int8 rounding; None where that is not known of its layers, or it has none."""
    mode = FakeInt8()
    try:
        with mode:
            found = answer()
    except CpuaccelError:
        return None
    return found if mode.layers and mode.is_whole else None


def _of_attention(args: tuple[Any, ...], last: int) -> tuple[Any, ...]:
    """The arguments of ``multi_head_attention_forward``, with rounded inputs and weights of both projections."""
    inputs = tuple(_activations(item, last) for item in args[:3])
    return (*inputs, *args[3:5], _weights(args[5], 0), *args[6:11], _weights(args[11], 0), *args[12:])


def _is_weight(tensor: Any) -> bool:
    return isinstance(tensor, nn.Parameter) and _is_matrix(tensor)


def _is_matrix(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and tensor.dtype is torch.float32 and tensor.dim() > 1


def _weights(tensor: torch.Tensor, channels: int) -> torch.Tensor:
    """A weight rounded with one scale for each index along the dimension ``channels``."""
    others = [dimension for dimension in range(tensor.dim()) if dimension != channels]
    scale = (tensor.detach().abs().amax(others, keepdim=True) / _LARGEST).clamp_min(torch.finfo(tensor.dtype).tiny)
    return (tensor.detach() / scale).round_().mul_(scale)


def _activations(tensor: Any, last: int) -> Any:
    """An input rounded with one scale over its ``last`` dimensions; 0 stays 0."""
    if not isinstance(tensor, torch.Tensor) or tensor.dtype is not torch.float32 or not tensor.numel():
        return tensor
    over = list(range(-min(last, tensor.dim()), 0))
    low, high = (tensor.amin(over, keepdim=True).clamp_max(0), tensor.amax(over, keepdim=True).clamp_min(0))
    scale = ((high - low) / _STEPS).clamp_min(torch.finfo(tensor.dtype).tiny)
    zero = (-low / scale).round_()
    return (tensor / scale).round_().add_(zero).clamp_(0, _STEPS).sub_(zero).mul_(scale)
