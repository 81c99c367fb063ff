"""Whether eager itself computes in bf16 or fp16, by the user's choice: in the weights, the inputs, or by autocast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_cpuaccel.backends.toolkit import fp32_precision
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.builder.random_generators import seeded
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import CpuaccelError

_REDUCED = (torch.bfloat16, torch.float16)


def may_reduce(model: nn.Module, call: Call) -> bool:
    """Tell whether eager computes a call in bf16 or fp16, or may: what can't be ruled out counts.

    The model is run once more, with every operation that it calls looked at.
    """
    if fp32_precision.may_reduce() or _holds_reduced([*model.parameters(), *model.buffers()]):
        return True
    seen = _Reduced()
    try:
        with seeded(), seen:
            run_eager(model, call.method, call.inputs)
    except CpuaccelError:
        return True
    return seen.found


def _holds_reduced(values: Iterable[Any]) -> bool:
    return any(tensor.dtype in _REDUCED for tensor in tree.tensors([*values]))


class _Reduced(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """``found`` tells whether an operation took or gave a tensor in bf16 or fp16."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.found = self.found or _holds_reduced([args, dict(kwargs or {}), output])
        return output
