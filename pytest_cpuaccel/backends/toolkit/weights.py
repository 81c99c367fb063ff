"""The weights of private copies of a model."""

from __future__ import annotations

import torch
from torch import nn


def size_of_weights(module: nn.Module) -> int:
    """Return the bytes of a module's parameters."""
    return sum(parameter.nbytes for parameter in module.parameters())


def drop_weights(module: nn.Module) -> None:
    """Free the memory of a private copy's parameters; only its code is still needed.

    A copy is part of reference cycles, so it would stay in memory until garbage is collected.
    """
    for parameter in module.parameters():
        parameter.data = torch.empty(0, dtype=parameter.dtype, device=parameter.device)
