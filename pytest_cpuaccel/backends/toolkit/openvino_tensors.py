"""Tensors on their way into OpenVINO and out of it: numpy, which lies between, has no bfloat16."""

from __future__ import annotations

from typing import Any

import openvino
import torch


def to_openvino(tensor: torch.Tensor) -> Any:
    """Return a tensor of OpenVINO's with the same memory; it must not outlive the given one."""
    if tensor.dtype is not torch.bfloat16:
        return openvino.Tensor(tensor.numpy(), shared_memory=True)
    return openvino.Tensor(tensor.view(torch.int16).numpy(), openvino.Shape(tensor.shape), openvino.Type.bf16)


def from_openvino(tensor: Any) -> torch.Tensor:
    """Return a copy of a tensor of OpenVINO's, which shows bfloat16 to numpy as float16 of the same bits."""
    copied = torch.from_numpy(tensor.data.copy())
    return copied.view(torch.bfloat16) if tensor.element_type == openvino.Type.bf16 else copied
