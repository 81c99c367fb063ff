"""Eager in another order: what a model answers where its long sums are plain running sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_cpuaccel.measure.parity import running
from pytest_cpuaccel.measure.parity.defaults import LONG_PRODUCT, LONG_SUM, MOST_REORDERED

Operator = Callable[..., Any]
aten = torch.ops.aten

_NO_REDUCTION = 0
"""How aten writes ``reduction="none"`` of a loss."""


@dataclass(frozen=True)
class Reordered:
    """``answer`` is eager's with running sums, ``longest`` the number of terms of the longest sum in it.

    ``longest_kept`` is that of the longest one that was left in eager's order, 0 where there is none.
    """

    answer: Any
    longest: int
    longest_kept: int = 0


def reordered(run: Callable[[], Any]) -> Reordered | None:
    """Return what ``run``, an eager fp32 model, answers with running sums; None where it has no long sum.

    Long are sums of more than ``LONG_SUM`` terms, and products over more than ``LONG_PRODUCT``. Of those that would
    take too long, and of operators that are not taken apart here, the length alone is noted.
    """
    mode = _RunningSums()
    try:
        with mode:
            answer = run()
    except Exception:  # a model that no dispatch mode can follow is held to the bar of short sums
        return None
    return Reordered(answer, mode.longest, mode.longest_kept) if mode.longest else None


class _RunningSums(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Puts running sums in the place of long fp32 sums, while entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.longest = self.longest_kept = 0
        self._left = MOST_REORDERED

    def __torch_dispatch__(self, func: Operator, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        count = _LENGTHS.get(func)
        if count is None or not _is_fp32(args):
            return func(*args, **given)
        terms, limit = count(*args, **given), LONG_PRODUCT if func in _PRODUCTS else LONG_SUM
        if terms <= limit:
            return func(*args, **given)
        self.longest = max(self.longest, terms)
        usual = func(*args, **given)
        loop = _LOOPS.get(func)
        work = terms * _first(usual).numel() if func in _PRODUCTS else args[0].numel()
        found = None if loop is None or work > self._left else loop(*args, **given)
        if found is None:
            self.longest_kept = max(self.longest_kept, terms)
            return usual
        self._left -= work
        return _like(found, usual)


def _is_fp32(args: Sequence[Any]) -> bool:
    tensors = [item for item in args if isinstance(item, torch.Tensor)]
    return bool(tensors) and all(item.dtype is torch.float32 for item in tensors if item.is_floating_point())


def _first(value: Any) -> torch.Tensor:
    first: torch.Tensor = value[0] if isinstance(value, (tuple, list)) else value
    return first


def _like(found: Any, usual: Any) -> Any:
    """What was found in the form of the operator's own answer, whose further members are kept as they are."""
    if isinstance(usual, torch.Tensor):
        return found.reshape(usual.shape)
    members = found if isinstance(found, tuple) else (found,)
    shaped = (item.reshape(own.shape) for item, own in zip(members, usual, strict=False))
    return type(usual)((*shaped, *usual[len(members) :]))


def _axes(dim: Any) -> tuple[int, ...]:
    return () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)


def _over(values: torch.Tensor, dim: Any = None, *_: Any, **__: Any) -> int:
    return running.length(values, _axes(dim)) if values.dim() else 1


def _of_norm(values: torch.Tensor, order: Any = 2, dim: Any = None, *_: Any, **__: Any) -> int:  # noqa: ARG001
    return _over(values, dim)


def _of_product(left: torch.Tensor, *_: Any, **__: Any) -> int:
    return left.shape[-1]


def _of_added_product(added: torch.Tensor, left: torch.Tensor, *_: Any, **__: Any) -> int:  # noqa: ARG001
    return left.shape[-1]


def _of_convolution(values: torch.Tensor, weight: torch.Tensor, *_: Any, **__: Any) -> int:  # noqa: ARG001
    return weight[0].numel()


def _of_layer_norm(values: torch.Tensor, shape: Sequence[int], *_: Any) -> int:  # noqa: ARG001
    return math.prod(shape)


def _of_group_norm(values: torch.Tensor, *rest: Any) -> int:
    return values.numel() // (values.shape[0] * rest[5]) if values.numel() else 0


def _of_batch_norm(values: torch.Tensor, *rest: Any) -> int:
    return values.numel() // values.shape[1] if rest[4] and values.numel() else 0


def _of_pool(values: torch.Tensor, kernel: Sequence[int], *_: Any, **__: Any) -> int:
    sizes = values.dim() - (1 if values.dim() == len(kernel) + 1 else 2)
    return math.prod(kernel) if len(kernel) > 1 else kernel[0] ** sizes


def _of_adaptive_pool(values: torch.Tensor, sizes: Sequence[int]) -> int:
    return math.prod(-(-own // new) for own, new in zip(values.shape[-len(sizes) :], sizes, strict=True) if new)


def _of_attention(query: torch.Tensor, key: torch.Tensor, *_: Any, **__: Any) -> int:  # noqa: ARG001
    return key.shape[-2]


def _of_loss(given: torch.Tensor, wanted: torch.Tensor, *rest: Any, **_: Any) -> int:  # noqa: ARG001
    return 0 if _NO_REDUCTION in rest else given.numel()


def _of_scatter(target: torch.Tensor, dim: int, index: torch.Tensor, *_: Any, **__: Any) -> int:  # noqa: ARG001
    return index.shape[dim] if index.dim() else 1


def _sum(values: torch.Tensor, dim: Any = None, keepdim: bool = False, **given: Any) -> torch.Tensor | None:
    return None if given.get("dtype") is torch.float64 else running.running_sum(values, _axes(dim), keepdim=keepdim)


def _mean(values: torch.Tensor, dim: Any = None, keepdim: bool = False, **given: Any) -> torch.Tensor | None:
    return None if given.get("dtype") is torch.float64 else running.mean(values, _axes(dim), keepdim=keepdim)


def _mse_loss(given: torch.Tensor, wanted: torch.Tensor, reduction: int = 1) -> torch.Tensor:
    squares = (given - wanted).square()
    return running.mean(squares, ()) if reduction == 1 else running.running_sum(squares, ())


def _correction(given: Any) -> float:
    return 1 if given is None else given


def _var(values: torch.Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> torch.Tensor:
    return running.variance(values, _axes(dim), correction=_correction(correction), keepdim=keepdim)


def _std(values: torch.Tensor, dim: Any = None, **given: Any) -> torch.Tensor:
    return _var(values, dim, **given).sqrt()


def _var_mean(values: torch.Tensor, dim: Any = None, **given: Any) -> Any:
    return _var(values, dim, **given), running.mean(values, _axes(dim), keepdim=given.get("keepdim", False))


def _std_mean(values: torch.Tensor, dim: Any = None, **given: Any) -> Any:
    return _std(values, dim, **given), running.mean(values, _axes(dim), keepdim=given.get("keepdim", False))


def _cumsum(values: torch.Tensor, dim: int, **given: Any) -> torch.Tensor | None:
    return None if given.get("dtype") is torch.float64 else running.running_cumsum(values, dim)


def _logsumexp(values: torch.Tensor, dim: Any, keepdim: bool = False) -> torch.Tensor:
    peak = values.amax(_axes(dim), keepdim=True)
    peak = torch.where(peak.isfinite(), peak, 0.0)
    total = running.running_sum((values - peak).exp(), _axes(dim), keepdim=True)
    found = total.log() + peak
    return found if keepdim else found.squeeze(_axes(dim))


def _softmax(values: torch.Tensor, dim: int, *_: Any) -> torch.Tensor:
    powers = (values - values.amax(dim, keepdim=True)).exp()
    return powers / running.running_sum(powers, (dim,), keepdim=True)


def _log_softmax(values: torch.Tensor, dim: int, *_: Any) -> torch.Tensor:
    return values - _logsumexp(values, dim, keepdim=True)


def _norm(
    values: torch.Tensor, order: Any = 2, dim: Any = None, keepdim: bool = False, **given: Any
) -> torch.Tensor | None:
    if order not in (1, 2) or given.get("dtype") is torch.float64:
        return None
    total = running.running_sum(values.square() if order == 2 else values.abs(), _axes(dim), keepdim=keepdim)
    return total.sqrt() if order == 2 else total


def _normed(values: torch.Tensor, axes: Sequence[int], eps: float) -> torch.Tensor:
    spread = (running.variance(values, axes, keepdim=True) + eps).rsqrt()
    return (values - running.mean(values, axes, keepdim=True)) * spread


def _layer_norm(values: torch.Tensor, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> torch.Tensor:
    found = _normed(values, tuple(range(values.dim() - len(shape), values.dim())), eps)
    return (found if weight is None else found * weight) + (0 if bias is None else bias)


def _group_norm(values: torch.Tensor, weight: Any, bias: Any, *sizes: Any) -> torch.Tensor:
    groups, eps = sizes[3], sizes[4]
    found = _normed(values.reshape(values.shape[0], groups, -1), (2,), eps).reshape(values.shape)
    return _by_channel(found, weight, bias)


def _batch_norm(values: torch.Tensor, weight: Any, bias: Any, *rest: Any) -> torch.Tensor:
    axes = tuple(axis for axis in range(values.dim()) if axis != 1)
    return _by_channel(_normed(values, axes, rest[4]), weight, bias)


def _by_channel(values: torch.Tensor, weight: Any, bias: Any) -> torch.Tensor:
    shape = (1, -1, *(1 for _ in values.shape[2:]))
    scaled = values if weight is None else values * weight.reshape(shape)
    return scaled if bias is None else scaled + bias.reshape(shape)


def _matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return running.running_product(left[None], right[None])[0]


def _addmm(added: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    return beta * added + alpha * _matmul(left, right)


def _baddbmm(added: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    return beta * added + alpha * running.running_product(left, right)


def _mv(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return _matmul(left, right[:, None])[:, 0]


def _dot(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return running.running_sum(left * right, ())


def _convolution(values: torch.Tensor, weight: torch.Tensor, bias: Any, *how: Any) -> torch.Tensor | None:
    stride, padding, dilation, transposed, _, groups = how
    if transposed or groups != 1 or weight.dim() not in (3, 4):
        return None
    if weight.dim() == 3:
        values, weight = values.unsqueeze(-2), weight.unsqueeze(-2)
        stride, padding, dilation = [1, *stride], [0, *padding], [1, *dilation]
    values = values if values.dim() == 4 else values[None]
    patches = torch.nn.functional.unfold(values, weight.shape[2:], dilation, padding, stride)
    kernels = weight.flatten(1)[None].expand(len(values), -1, -1)
    found = running.running_product(kernels, patches)
    return found if bias is None else found + bias[:, None]


def _avg_pool2d(values: torch.Tensor, kernel: Sequence[int], stride: Any = (), *how: Any) -> torch.Tensor | None:
    padding = how[0] if how else 0
    if any(_axes(padding)) or any(item not in (False, True, None) for item in how[1:]) or (how[1:] and how[1]):
        return None
    height, width = (*kernel, *kernel)[:2]
    down, right = (*_axes(stride), *_axes(stride))[:2] if stride else (height, width)
    windows = values.unfold(-2, height, down).unfold(-2, width, right)
    return running.mean(windows, (-2, -1))


def _adaptive_avg_pool2d(values: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor | None:
    kernel = [own // new for own, new in zip(values.shape[-2:], sizes, strict=True)]
    is_even = all(own % new == 0 for own, new in zip(values.shape[-2:], sizes, strict=True))
    return _avg_pool2d(values, kernel) if is_even else None


_LENGTHS: dict[Any, Callable[..., int]] = {
    **dict.fromkeys((aten.sum.default, aten.sum.dim_IntList, aten.nansum.default, aten.prod.default), _over),
    **dict.fromkeys((aten.mean.default, aten.mean.dim, aten.prod.dim_int, aten.cumsum.default), _over),
    **dict.fromkeys((aten.cumprod.default, aten.logcumsumexp.default), _over),
    **dict.fromkeys((aten.var.correction, aten.var_mean.correction), _over),
    **dict.fromkeys((aten.std.correction, aten.std_mean.correction), _over),
    **dict.fromkeys((aten.logsumexp.default, aten._softmax.default, aten._log_softmax.default), _over),
    aten.linalg_vector_norm.default: _of_norm,
    aten.native_layer_norm.default: _of_layer_norm,
    aten.native_group_norm.default: _of_group_norm,
    aten.native_batch_norm.default: _of_batch_norm,
    **dict.fromkeys((aten.mm.default, aten.bmm.default, aten.mv.default, aten.dot.default), _of_product),
    **dict.fromkeys((aten.addmm.default, aten.baddbmm.default, aten.addmv.default), _of_added_product),
    aten._cdist_forward.default: _of_product,
    aten.convolution.default: _of_convolution,
    **dict.fromkeys((aten.avg_pool2d.default, aten.avg_pool3d.default), _of_pool),
    **dict.fromkeys((aten._adaptive_avg_pool2d.default, aten._adaptive_avg_pool3d.default), _of_adaptive_pool),
    aten._scaled_dot_product_flash_attention_for_cpu.default: _of_attention,
    **dict.fromkeys((aten.mse_loss.default, aten.smooth_l1_loss.default, aten.huber_loss.default), _of_loss),
    **dict.fromkeys((aten.index_add.default, aten.scatter_add.default, aten.scatter_reduce.two), _of_scatter),
    **dict.fromkeys((aten.index_add_.default, aten.scatter_add_.default, aten.scatter_reduce_.two), _of_scatter),
}
"""How many terms each element of an operator's answer is the sum of."""

_LOOPS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((aten.sum.default, aten.sum.dim_IntList), _sum),
    **dict.fromkeys((aten.mean.default, aten.mean.dim), _mean),
    aten.cumsum.default: _cumsum,
    aten.var.correction: _var,
    aten.std.correction: _std,
    aten.var_mean.correction: _var_mean,
    aten.std_mean.correction: _std_mean,
    aten.logsumexp.default: _logsumexp,
    aten._softmax.default: _softmax,
    aten._log_softmax.default: _log_softmax,
    aten.linalg_vector_norm.default: _norm,
    aten.mse_loss.default: _mse_loss,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_group_norm.default: _group_norm,
    aten.native_batch_norm.default: _batch_norm,
    aten.mm.default: _matmul,
    aten.bmm.default: running.running_product,
    aten.mv.default: _mv,
    aten.dot.default: _dot,
    aten.addmm.default: _addmm,
    aten.baddbmm.default: _baddbmm,
    aten.convolution.default: _convolution,
    aten.avg_pool2d.default: _avg_pool2d,
    aten._adaptive_avg_pool2d.default: _adaptive_avg_pool2d,
}
"""The operators by running sums; None is what they return where a form is not known here."""

_PRODUCTS = frozenset(
    {
        aten.mm.default,
        aten.bmm.default,
        aten.mv.default,
        aten.dot.default,
        aten.addmm.default,
        aten.baddbmm.default,
        aten.addmv.default,
        aten.convolution.default,
        aten._cdist_forward.default,
        aten._scaled_dot_product_flash_attention_for_cpu.default,
    }
)
