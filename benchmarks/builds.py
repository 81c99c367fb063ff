"""Cold and warm builds of bert-base: seconds until the first answer, with an empty cache and with a filled one.

Run ``python -m benchmarks.builds`` (or name backends: ``python -m benchmarks.builds ort openvino``). Every build
happens in a process of its own, so that nothing but the artifact on disk is reused; imports of torch and
transformers and the making of the model are not counted, imports that the backend needs are.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

DEFAULT = ("ort", "openvino", "torchscript", "inductor")
ROUNDS = 3


def main() -> None:
    """Print a table of cold and warm seconds, and their ratio."""
    lines = []
    for backend in sys.argv[1:] or DEFAULT:
        with tempfile.TemporaryDirectory() as cache:
            cold = _seconds_in_new_process(backend, cache)
            warm = min(_seconds_in_new_process(backend, cache) for _ in range(ROUNDS))
        lines.append([backend, f"{cold:.1f}", f"{warm:.1f}", f"{cold / warm:.1f}x"])
    print(tabulate(lines, ["backend", "cold s", f"warm s (best of {ROUNDS})", "cold / warm"], disable_numparse=True))


def _seconds_in_new_process(backend: str, cache: str) -> float:
    command = [sys.executable, "-m", "benchmarks.builds", "--one", backend, cache]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _build_once(name: str, cache: str) -> float:
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
    started = time.perf_counter()
    built = workshop.built(model, register([])[name], "forward", inputs)
    with torch.no_grad():
        built.forward(**inputs.kwargs)
    return time.perf_counter() - started


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(_build_once(*sys.argv[2:4]))
    else:
        main()
