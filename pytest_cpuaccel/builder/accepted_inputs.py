"""Checks on a call: its inputs are plain tensors on the CPU, and no context changes its results."""

from __future__ import annotations

from typing import Any

import torch
from torch._subclasses import FakeTensor

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs


def check_devices(inputs: Inputs, of: str = "") -> None:
    """Refuse inputs that are not on the CPU; ``of`` says whose inputs they are.

    Raises:
        UsageError: names the first one and its device.
    """
    for name, leaf in inputs.leaves():
        if isinstance(leaf, torch.Tensor) and leaf.device.type != "cpu":
            where = name.partition(".")[2]
            raise UsageError(
                f"{of}input {where!r} is on device '{leaf.device}'; backends here run on the CPU: .to('cpu')"
            )


def check_plain(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse tensors that wrap others, nested tensors, tensors that require a gradient, and autocast.

    Raises:
        UsageError: names the first one and its kind.
    """
    _check_context()
    for name, leaf in tree.named_leaves([args, kwargs]):
        if isinstance(leaf, torch.Tensor) and (what := _other_than_plain(leaf)):
            raise UsageError(f"cpu_model: input {name.partition('.')[2]!r} is {what}")


def _check_context() -> None:
    if torch.is_autocast_enabled("cpu"):
        raise UsageError(
            "cpu_model: called under torch.autocast, which no build was made for; call it outside, and choose that by "
            "backend: --cpu-backends=autocast-bf16"
        )
    if (device := torch.get_default_device()).type != "cpu":
        raise UsageError(f"cpu_model: called while '{device}' is torch's default device; backends here run on the CPU")


def _other_than_plain(tensor: torch.Tensor) -> str:
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return "a tensor of torch.func (vmap, jacrev, grad), which no backend takes; call cpu_model with plain tensors"
    if isinstance(tensor, FakeTensor):
        return "of torch.export or torch.compile, which has no numbers; export or compile eager_model instead"
    if tensor.is_nested:
        return "a nested tensor, whose rows can't be compared; pad it, and pass a mask"
    if tensor.is_leaf and tensor.requires_grad and torch.is_grad_enabled():
        return "to get a gradient, which no backend computes; ask eager_model for it, or pass the input .detach()ed"
    return ""
