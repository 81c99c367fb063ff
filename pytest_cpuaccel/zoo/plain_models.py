"""Models of plain torch, tiny, with their inputs."""

from __future__ import annotations

import torch
from torch import nn

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.zoo.example_inputs import padding_mask

_WIDTH = 16


class Mlp(nn.Module):
    """(batch, 16) -> (batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(_WIDTH, 32), nn.GELU(), nn.Linear(32, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores of four classes."""
        scores: torch.Tensor = self.layers(x)
        return scores


class Cnn(nn.Module):
    """Convolution, batch normalisation, pooling: (batch, 1, 8, 8) -> (batch, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(128, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return scores of ten classes."""
        scores: torch.Tensor = self.head(self.features(pixels).flatten(1))
        return scores


class Lstm(nn.Module):
    """Two layers: (batch, length, 16) -> (batch, length, 4), and the last state of each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_WIDTH, 24, num_layers=2, batch_first=True)
        self.head = nn.Linear(24, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores of four classes at every step, and the state (layers, batch, 24) after the last."""
        steps, (state, _) = self.lstm(x)
        return self.head(steps), state


class Encoder(nn.Module):
    """``nn.TransformerEncoder`` on padded sequences: (batch, length, 16) -> (batch, length, 16)."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(_WIDTH, nhead=4, dim_feedforward=32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)

    def forward(self, x: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Encode; ``attention_mask`` (batch, length) holds 0 at padding."""
        encoded: torch.Tensor = self.encoder(x, src_key_padding_mask=attention_mask == 0)
        return encoded


def vectors(module: nn.Module, batch: int, length: int) -> Inputs:  # noqa: ARG001
    """Return one vector for each item of the batch."""
    return Inputs(kwargs={"x": _random(batch, _WIDTH)})


def images(module: nn.Module, batch: int, length: int) -> Inputs:  # noqa: ARG001
    """Return a grey image of 8 x 8 for each item of the batch."""
    return Inputs(kwargs={"pixels": _random(batch, 1, 8, 8)})


def series(module: nn.Module, batch: int, length: int) -> Inputs:  # noqa: ARG001
    """Return a series of ``length`` vectors for each item of the batch."""
    return Inputs(kwargs={"x": _random(batch, length, _WIDTH)})


def padded_series(module: nn.Module, batch: int, length: int) -> Inputs:  # noqa: ARG001
    """Return a series for each item, all but the first padded on the right."""
    return Inputs(kwargs={"x": _random(batch, length, _WIDTH), "attention_mask": padding_mask(batch, length, "right")})


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
