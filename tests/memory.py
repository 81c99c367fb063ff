"""What lies in memory: tensors that somebody still holds."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import torch


def tensors_of_shape(shape: Sequence[int]) -> list[torch.Tensor]:
    """Return all tensors of a shape that garbage collection leaves; those that hold nothing, as torch.export's, not."""
    gc.collect()
    tensors = [item for item in gc.get_objects() if type(item) in (torch.Tensor, torch.nn.Parameter)]
    return [item for item in tensors if tuple(item.shape) == tuple(shape)]
