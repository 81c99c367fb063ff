"""The batch of a call: how many items it answers."""

from __future__ import annotations

import numpy as np
import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.errors import UsageError


def batch_size(call: Call) -> int:
    """Return the first dimension that the call's tensors share; where some have 1 there, that of the others.

    A forward call's first output has it too: what lacks it there was no batch.

    Raises:
        UsageError: there is no such dimension.
    """
    sizes = _first_dimensions([call.inputs.args, dict(call.inputs.kwargs)])
    found = set(sizes) - {1} or set(sizes)
    if len(found) != 1:
        sizes_found = " and ".join(map(str, sorted(found)))
        why = f"inputs start with {sizes_found}" if found else "the inputs are tensors without dimensions"
        raise UsageError(f"can't infer the batch size: {why}; use p50= instead")
    size = found.pop()
    answered = _first_dimensions(call.output)[:1]
    if call.method == "forward" and answered not in ([], [size]):
        why = f"inputs start with {size}, the first output with {answered[0]}"
        raise UsageError(f"can't infer the batch size: {why}; use p50= instead")
    return size


def _first_dimensions(value: object) -> list[int]:
    leaves = (leaf for _, leaf in tree.named_leaves(value) if isinstance(leaf, (torch.Tensor, np.ndarray)))
    return [leaf.shape[0] for leaf in leaves if leaf.ndim]
