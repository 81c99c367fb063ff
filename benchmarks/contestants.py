"""Pairs of callables to race: two separately built copies of one model, one of them made slower by a known share."""

from __future__ import annotations

from itertools import islice
from statistics import median

import torch
from torch import nn

from pytest_cpuaccel.measure.latency.pair import Sides, take_pairs
from pytest_cpuaccel.measure.latency.turn import Burst, Call

CALIBRATION_BUILDS = 5
CALIBRATION_PAIRS = 100


def transformer() -> tuple[nn.Module, torch.Tensor]:
    """A call of about 1 ms."""
    layer = nn.TransformerEncoderLayer(64, nhead=4, dim_feedforward=128, batch_first=True)
    return nn.TransformerEncoder(layer, num_layers=4, enable_nested_tensor=False), torch.rand(1, 48, 64)


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """A call of about 0.1 ms."""
    layers = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(), nn.Linear(256, 8))
    return layers, torch.rand(8, 256)


MODELS = {"transformer": transformer, "mlp": mlp}


def build(model: str, extra_rounds: int = 0) -> Call:
    """Return a call of a model built anew that also multiplies small matrices so many times."""
    torch.set_num_threads(1)
    module, inputs = MODELS[model]()
    module.eval()
    matrix = torch.rand(8, 8)

    @torch.inference_mode()
    def call() -> object:
        for _ in range(extra_rounds):
            torch.mm(matrix, matrix)
        return module(inputs)

    return call


def build_sides(model: str, extra_rounds: int) -> Sides:
    """Return two separate builds of one model, the candidate slower by the extra work."""
    return Sides(build(model, extra_rounds), build(model))


def rounds_for(model: str, slowdown: float) -> int:
    """Return how many rounds of extra work add this share to the model's own CPU time."""
    rounds = 100
    for _ in range(3):  # the first rounds cost more than the later ones, so the step is repeated near its end
        rounds = max(1, round(rounds * slowdown / cpu_share(model, rounds)))
    return rounds


def cpu_share(model: str, extra_rounds: int) -> float:
    """Return the CPU time that the extra work adds, as a share of the model's own; median over several builds."""
    return median(_cpu_ratio(build_sides(model, extra_rounds)) for _ in range(CALIBRATION_BUILDS)) - 1


def _cpu_ratio(sides: Sides) -> float:
    pairs = take_pairs(sides, Burst(discarded=1, timed=5, batch=1), seed=0)
    return median(pair.cpu_ratio for pair in islice(pairs, CALIBRATION_PAIRS))
