"""Pairs of callables to race: two separately built copies of one model, one of them made slower by a known share."""

from __future__ import annotations

from statistics import median
from time import process_time_ns

import torch
from torch import nn

from pytest_cpuaccel.measure.latency.pair import Sides
from pytest_cpuaccel.measure.latency.turn import Call

CALIBRATION_ROUNDS = 200


def transformer() -> tuple[nn.Module, torch.Tensor]:
    """A call of about 1 ms."""
    layer = nn.TransformerEncoderLayer(64, nhead=4, dim_feedforward=128, batch_first=True)
    return nn.TransformerEncoder(layer, num_layers=4, enable_nested_tensor=False), torch.rand(1, 48, 64)


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """A call of about 0.1 ms."""
    layers = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(), nn.Linear(256, 8))
    return layers, torch.rand(8, 256)


MODELS = {"transformer": transformer, "mlp": mlp}


def build(model: str) -> Call:
    """Return a call of a model built anew, with memory of its own."""
    torch.set_num_threads(1)
    module, inputs = MODELS[model]()
    module.eval()

    @torch.inference_mode()
    def call() -> object:
        return module(inputs)

    return call


def build_slower(model: str, extra_rounds: int) -> Call:
    """Return a call of a model built anew that also multiplies small matrices so many times."""
    call = build(model)
    work = _extra_work(extra_rounds)

    def slower() -> object:
        work()
        return call()

    return slower


def build_sides(model: str, extra_rounds: int = 0) -> Sides:
    """Return two separate builds of one model, the candidate slower by the extra work."""
    candidate = build_slower(model, extra_rounds) if extra_rounds else build(model)
    return Sides(candidate, build(model))


def rounds_for(model: str, slowdown: float) -> int:
    """Return how many rounds of extra work take this share of the model's own CPU time."""
    call, work = build(model), _extra_work(100)
    shares = [_cpu_ns(work) / _cpu_ns(call) / 100 for _ in range(CALIBRATION_ROUNDS)]
    return round(slowdown / median(shares))


def _extra_work(rounds: int) -> Call:
    matrix = torch.rand(8, 8)

    @torch.inference_mode()
    def work() -> None:
        for _ in range(rounds):
            torch.mm(matrix, matrix)

    return work


def _cpu_ns(call: Call) -> int:
    """CPU time of a call right after another, as calls are timed in a race."""
    call()
    started = process_time_ns()
    for _ in range(5):
        call()
    return (process_time_ns() - started) // 5
