"""What it costs to call a model through ``cpu_model``, which records every call, over the bare backend call.

Run with ``python -m benchmarks.recorder`` (a few seconds).

The two are raced under the eager backend. The latency mark itself times the bare call. Every test has a recorder of
its own, which keeps copies of all inputs and outputs until the test is judged; here a test makes 50 calls. A call with
the inputs of the one before shares its copies, so calls with inputs that differ are raced too.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from torch import nn

from benchmarks.gates.models import MODELS
from benchmarks.gates.plan import SHORT
from pytest_cpuaccel.backends.eager import EAGER
from pytest_cpuaccel.builder.artifact_store import ArtifactStore
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.progress import say_nothing
from pytest_cpuaccel.measure.latency.config import RaceConfig
from pytest_cpuaccel.measure.latency.e_values import median_interval
from pytest_cpuaccel.measure.latency.race import race
from pytest_cpuaccel.measure.latency.side import local_sides
from pytest_cpuaccel.recording.cpu_model import CpuModel

CALLS_PER_TEST = 50


def main() -> None:
    """Race recorded calls against bare ones, for each model."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in SHORT:
            example = MODELS[name]()
            other = Inputs(*tree.clone((example.inputs.args, example.inputs.kwargs)))
            next(tree.tensors((other.args, other.kwargs))).flatten()[0] += 1
            _race(f"{name}, inputs repeated", example.model, [example.inputs], Path(folder))
            _race(f"{name}, inputs that differ", example.model, [example.inputs, other], Path(folder))


def _race(name: str, model: nn.Module, inputs: Sequence[Inputs], folder: Path) -> None:
    builder = Builder(ArtifactStore(folder, limit_bytes=0), 1, say_nothing, lambda _: contextlib.nullcontext())
    recorded = itertools.chain.from_iterable(
        itertools.repeat(CpuModel(model, EAGER, builder), CALLS_PER_TEST) for _ in itertools.count()
    )
    built = builder.built(BuildRequest(model, EAGER, "forward", inputs[0]))
    turns = itertools.cycle(inputs)

    @torch.no_grad()
    def bare() -> object:
        turn = next(turns)
        return built.forward(*turn.args, **turn.kwargs)

    def recording() -> object:
        turn = next(turns)
        return next(recorded)(*turn.args, **turn.kwargs)

    sides = local_sides(recording, bare)
    result = race(sides, limit=None, rebuild=lambda: sides, config=RaceConfig())
    added_us = [(recorded - alone) / 1000 for recorded, alone in result.pairs_ns]
    low, high = median_interval([recorded / alone for recorded, alone in result.pairs_ns], alpha=0.005)
    print(
        f"{name}: a recorded call takes {result.ratio:.3f} times as long [{low:.3f}, {high:.3f}], "
        f"{median(added_us):+.1f} us on {result.reference_p50_ns / 1000:.0f} us"
    )


if __name__ == "__main__":
    main()
