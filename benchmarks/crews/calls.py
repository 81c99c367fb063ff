"""The calls that real processes race, of 0.15 to 100 ms on one thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.measure.latency.turn import TimedCall


def mlp() -> TimedCall:
    """Return a call of about 0.15 ms."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(), nn.Linear(256, 8)).eval()
    inputs = torch.rand(16, 256)
    return lambda: layers(inputs)


def softmax() -> TimedCall:
    """Return a call of NumPy of about 0.75 ms."""
    values = np.random.default_rng(0).standard_normal((768, 512), dtype=np.float32)

    def call() -> object:
        shifted = np.exp(values - values.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    return call


def convolutions() -> TimedCall:
    """Return a call of about 3 ms."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3)).eval()
    inputs = torch.rand(1, 3, 104, 104)
    return lambda: layers(inputs)


def encoder() -> TimedCall:
    """Return a call of about 100 ms."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
    layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).eval()
    inputs = torch.rand(1, 384, 512)
    return lambda: layers(inputs)


CALLS: Mapping[str, Callable[[], TimedCall]] = {
    "mlp": mlp,
    "softmax": softmax,
    "convolutions": convolutions,
    "encoder": encoder,
}
