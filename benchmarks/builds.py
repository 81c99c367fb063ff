"""Cold and warm builds of bert-base: what the first answer costs, with an empty cache and with a filled one.

Run ``python -m benchmarks.builds`` (or name backends: ``python -m benchmarks.builds ort openvino``). Every build
happens in a process of its own, so that nothing but the artifact on disk is reused; imports of torch and
transformers and the making of the model are not counted, imports that the backend needs are. Seconds of CPU are the
process's and its children's, on one thread; where they are fewer than those on the clock, the disk was waited for.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

DEFAULT = ("ort", "openvino", "torchscript", "inductor")
ROUNDS = 3


class Cost(NamedTuple):
    """Seconds until the first answer: on the clock, and of CPU."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Print a table of cold and warm seconds, and their ratio."""
    lines = []
    for backend in sys.argv[1:] or DEFAULT:
        with tempfile.TemporaryDirectory() as cache:
            cold = _in_new_process(backend, cache)
            warm = [_in_new_process(backend, cache) for _ in range(ROUNDS)]
        seconds, cpu_seconds = min(cost.seconds for cost in warm), min(cost.cpu_seconds for cost in warm)
        ratio = cold.seconds / seconds
        lines.append(
            [backend, *(f"{figure:.1f}" for figure in cold), f"{seconds:.2f}", f"{cpu_seconds:.2f}", f"{ratio:.1f}x"]
        )
    headers = ["backend", "cold s", "cold CPU s", "warm s", "warm CPU s", "cold / warm"]
    print(f"warm: best of {ROUNDS}")
    print(tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * 5)))


def _in_new_process(backend: str, cache: str) -> Cost:
    command = [sys.executable, "-m", "benchmarks.builds", "--one", backend, cache]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return Cost(*map(float, done.stdout.split()[-2:]))


def _build_once(name: str, cache: str) -> Cost:
    import torch
    from transformers import BertConfig, BertModel

    from pytest_cpuaccel.build.artifacts import ArtifactStore
    from pytest_cpuaccel.build.registry import register
    from pytest_cpuaccel.build.workshop import Workshop
    from pytest_cpuaccel.core.inputs import Inputs

    torch.manual_seed(0)
    model = BertModel(BertConfig()).eval()
    ids = torch.randint(5, 30_000, (1, 128))
    inputs = Inputs(kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    workshop = Workshop(ArtifactStore(Path(cache), 10**11), 1, print, lambda _: contextlib.nullcontext())
    before = Cost(time.perf_counter(), _cpu_seconds())
    built = workshop.built(model, register([])[name], "forward", inputs)
    with torch.no_grad():
        built.forward(**inputs.kwargs)
    return Cost(time.perf_counter() - before.seconds, _cpu_seconds() - before.cpu_seconds)


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(*_build_once(*sys.argv[2:4]))
    else:
        main()
