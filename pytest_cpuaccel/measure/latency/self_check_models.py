"""Models of three sizes by which a machine shows what it can resolve."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from pytest_cpuaccel.measure.latency.side import Sides, local_sides


@dataclass(frozen=True)
class SelfCheckModel:
    """``make()`` returns the same model each time, built anew; ``inputs`` are those of one call."""

    name: str
    make: Callable[[], nn.Module]
    inputs: torch.Tensor

    def copies(self) -> Sides:
        """Return calls of two separately built copies."""
        return local_sides(self._call(), self._call())

    def _call(self) -> Callable[[], object]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return functools.partial(self.make().eval(), self.inputs)


def self_check_models() -> Iterator[SelfCheckModel]:
    """Yield models whose calls take about 0.1 ms, 1 ms and 50 ms on one thread of a server's CPU."""
    yield SelfCheckModel(
        "mlp", lambda: nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256)), torch.ones(8, 256)
    )
    yield SelfCheckModel("small transformer", functools.partial(_encoder, 128, 2), torch.ones(1, 32, 128))
    yield SelfCheckModel("base transformer", functools.partial(_encoder, 768, 6), torch.ones(1, 48, 768))


def _encoder(width: int, layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, width // 32, 4 * width, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
