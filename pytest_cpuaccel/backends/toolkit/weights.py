"""The weights of private copies of a model."""

from __future__ import annotations

import torch
from torch import nn


def size_of_weights(module: nn.Module) -> int:
    """Return the bytes of a module's parameters."""
    return sum(parameter.nbytes for parameter in module.parameters())


def drop_weights(module: nn.Module) -> None:
    """Free what a private copy's parameters hold, of which nothing but its code is needed any more.

    A copy is part of cycles, and with its last name gone it stays until garbage is collected.
    """
    for parameter in module.parameters():
        parameter.data = torch.empty(0, dtype=parameter.dtype, device=parameter.device)
