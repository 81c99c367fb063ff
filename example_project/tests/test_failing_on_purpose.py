"""Two tests that must fail, to show what a failure looks like."""

from __future__ import annotations

import pytest
import torch
from torch import nn


class Clipped(nn.Module):
    """Scales loud signals down and leaves soft ones: its path depends on the data."""

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        if signal.abs().max() > 1:
            return signal / signal.abs().max()
        return signal


@pytest.mark.parity
@pytest.mark.cpu_backends("torchscript")
@pytest.mark.xfail(strict=True, reason="a trace holds the path that its first call took, and gives no sign of it")
def test_loud_signals_are_scaled_down(cpu_accelerate):
    clipped = cpu_accelerate(Clipped().eval())
    clipped(torch.tensor([[0.5, -0.25]]))
    clipped(torch.tensor([[4.0, -2.0]]))


@pytest.mark.latency_budget(speedup=100)
@pytest.mark.cpu_backends("torchscript")
@pytest.mark.xfail(strict=True, reason="no backend makes a model 100 times as fast")
def test_impossible_speed(cpu_accelerate):
    model = nn.Sequential(nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 256)).eval()
    cpu_accelerate(model)(torch.ones(32, 256))
