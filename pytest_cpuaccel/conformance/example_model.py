"""A sample: a small model to run a backend on, and two calls of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from pytest_cpuaccel.zoo.architecture import Architecture
from pytest_cpuaccel.zoo.architectures import ARCHITECTURES
from pytest_cpuaccel.zoo.weights import drawn, redraw

FROM_THE_ZOO = ("bert", "llama", "nn.TransformerEncoder")
"""A common encoder, a common decoder, and torch's own encoder."""


@dataclass(frozen=True)
class Sample:
    """``make(seed)`` returns the model with weights of that seed; ``other`` are inputs of another batch size."""

    name: str
    make: Callable[[int], nn.Module]
    inputs: Mapping[str, torch.Tensor]
    other: Mapping[str, torch.Tensor]


class Digits(nn.Module):
    """Plain torch: images (batch, 1, 8, 8) -> {"scores": (batch, 10), "embedding": (batch, 32)}."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 8, 3, padding=1)
        self.body = nn.Linear(512, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return scores of ten classes, and the embedding that they were computed from."""
        embedding = torch.tanh(self.body(torch.relu(self.convolution(images)).flatten(1)))
        return {"scores": self.head(embedding), "embedding": embedding}


def samples() -> tuple[Sample, ...]:
    """Return the samples that can be made here; those of transformers need it installed."""
    return tuple(_samples())


def _samples() -> Iterator[Sample]:
    yield Sample("plain", _digits, {"images": _images(2)}, {"images": _images(3)})
    installed = importlib.util.find_spec("transformers") is not None
    for architecture in ARCHITECTURES:
        if architecture.name in FROM_THE_ZOO and (installed or not architecture.is_transformer):
            yield _of(architecture)


def _digits(seed: int) -> nn.Module:
    return redraw(drawn(Digits), seed)


def _of(architecture: Architecture) -> Sample:
    module = architecture.make()
    return Sample(
        name=architecture.name,
        make=lambda seed: redraw(architecture.make(), seed),
        inputs=architecture.inputs(module).kwargs,
        other=architecture.inputs(module, batch=3, length=7).kwargs,
    )


def _images(batch: int) -> torch.Tensor:
    return torch.rand((batch, 1, 8, 8), generator=torch.Generator().manual_seed(batch))
