"""Random weights large enough for a mistake to show in the outputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the model of ``make()``, with the same random weights every time; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return redraw(make())


def redraw(module: nn.Module, seed: int = 0) -> nn.Module:
    """Redraw matrices at 1/sqrt(fan in) and put the module in eval mode.

    The stock 0.02 initialisation makes outputs so small that even a lost attention mask hardly shows.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() >= 2:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
    return module.eval()
