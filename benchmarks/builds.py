"""Cold and warm builds of bert-base: what the first answer costs, with an empty cache and with a filled one.

Run ``python -m benchmarks.builds`` (or name backends: ``python -m benchmarks.builds ort openvino``). Every build
happens in a process of its own, so that nothing but the artifact on disk is reused; imports of torch and
transformers and the making of the model are not counted, imports that the backend needs are. Seconds of CPU are the
process's and its children's, on one thread; where they are fewer than those on the clock, the disk was waited for.

``runtime CPU s`` is the floor, taken in the same run: a further process that opens the same artifact by the runtime's
own functions and calls it once, with nothing of this package. ``eager CPU s`` are two calls of the model itself, by
which a warm build proves that the artifact is still right and that the model keeps no state. The rest is ours.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

DEFAULT = ("ort", "openvino", "torchscript", "inductor")
ROUNDS = 3


class Cost(NamedTuple):
    """Seconds until the first answer: on the clock, and of CPU."""

    seconds: float
    cpu_seconds: float


class Round(NamedTuple):
    """Processes one after the other, each with a warm cache: one of ours, and those that it can't be below."""

    warm: Cost
    runtime: Cost | None
    eager: Cost

    @staticmethod
    def of(backend: str, cache: str) -> Round:
        """Return what each costs now."""
        alone = _in_new_process("--alone", backend, cache) if backend in ALONE else None
        return Round(_in_new_process("--one", backend, cache), alone, _in_new_process("--eager", backend, cache))


def main() -> None:
    """Print a table of cold and warm seconds, and of the CPU's what they consist of."""
    lines = []
    for backend in sys.argv[1:] or DEFAULT:
        with tempfile.TemporaryDirectory() as cache:
            cold = _in_new_process("--one", backend, cache)
            rounds = [Round.of(backend, cache) for _ in range(ROUNDS)]
        lines.append([backend, *_figures(cold, rounds)])
    headers = [
        "backend",
        "cold s",
        "cold CPU s",
        "warm s",
        "warm CPU s",
        "runtime CPU s",
        "eager CPU s",
        "rest",
        "cold / warm",
    ]
    print(f"warm, runtime, eager: best of {ROUNDS}")
    print(tabulate(lines, headers, disable_numparse=True, colalign=("left", *["right"] * 8)))


def _figures(cold: Cost, rounds: list[Round]) -> list[str]:
    seconds, warm = (min(costs) for costs in zip(*(item.warm for item in rounds), strict=True))
    runtime = min((item.runtime.cpu_seconds for item in rounds if item.runtime), default=float("nan"))
    eager = min(item.eager.cpu_seconds for item in rounds)
    parts = (seconds, warm, runtime, eager, warm - runtime - eager)
    return [*(f"{figure:.1f}" for figure in cold), *(f"{part:.2f}" for part in parts), f"{cold.seconds / seconds:.1f}x"]


def _in_new_process(part: str, backend: str, cache: str) -> Cost:
    command = [sys.executable, "-m", "benchmarks.builds", part, backend, cache]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return Cost(*map(float, done.stdout.split()[-2:]))


def _model_and_inputs() -> tuple[Any, dict[str, Any]]:
    import torch
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = BertModel(BertConfig()).eval()
    ids = torch.randint(5, 30_000, (1, 128))
    return model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _build_once(name: str, cache: str) -> Cost:
    import torch

    from pytest_cpuaccel.backends.registry import register
    from pytest_cpuaccel.builder.artifact_store import ArtifactStore
    from pytest_cpuaccel.builder.builder import Builder
    from pytest_cpuaccel.core.build_request import BuildRequest
    from pytest_cpuaccel.core.inputs import Inputs

    model, kwargs = _model_and_inputs()
    inputs = Inputs(kwargs=kwargs)
    builder = Builder(ArtifactStore(Path(cache), 10**11), 1, print, lambda _: contextlib.nullcontext())

    def build() -> None:
        with torch.no_grad():
            builder.built(BuildRequest(model, register([])[name], "forward", inputs)).forward(**kwargs)

    return _cost_of(build)


def _alone(name: str, cache: str) -> Cost:
    model, kwargs = _model_and_inputs()
    return _cost_of(functools.partial(ALONE[name], model, kwargs, Path(cache)))


def _eager(name: str, cache: str) -> Cost:  # noqa: ARG001
    import torch

    model, kwargs = _model_and_inputs()

    def twice() -> None:
        with torch.no_grad():
            model(**kwargs)
            model(**kwargs)

    return _cost_of(twice)


def _onnxruntime(model: Any, kwargs: dict[str, Any], cache: Path) -> None:  # noqa: ARG001
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    (file,) = cache.glob("*/model.onnx")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    session.run(None, {name: tensor.numpy() for name, tensor in kwargs.items()})


def _openvino(model: Any, kwargs: dict[str, Any], cache: Path) -> None:  # noqa: ARG001
    import openvino

    (file,) = cache.glob("*/openvino_model.xml")
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": "1", "EXECUTION_MODE_HINT": "ACCURACY"}
    compiled = openvino.Core().compile_model(file, "CPU", settings)
    compiled({name: tensor.numpy() for name, tensor in kwargs.items()})


def _torchscript(model: Any, kwargs: dict[str, Any], cache: Path) -> None:  # noqa: ARG001
    import torch

    (file,) = cache.glob("*/model.pt")
    with torch.no_grad():
        torch.jit.load(file)(*kwargs.values())  # type: ignore[no-untyped-call]


def _inductor(model: Any, kwargs: dict[str, Any], cache: Path) -> None:
    import torch

    (folder,) = (path.parent for path in cache.glob("*/manifest.json"))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = shutil.copytree(folder, f"{scratch}/cache")
        with torch.no_grad():
            torch.compile(model)(**kwargs)


ALONE: dict[str, Callable[[Any, dict[str, Any], Path], None]] = {
    "ort": _onnxruntime,
    "openvino": _openvino,
    "torchscript": _torchscript,
    "inductor": _inductor,
}
"""The same artifact in the runtime's own hands: what it costs to open it and to call it once."""


def _cost_of(work: Callable[[], None]) -> Cost:
    before = Cost(time.perf_counter(), _cpu_seconds())
    work()
    return Cost(time.perf_counter() - before.seconds, _cpu_seconds() - before.cpu_seconds)


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


if __name__ == "__main__":
    parts = {"--one": _build_once, "--alone": _alone, "--eager": _eager}
    if part := parts.get("".join(sys.argv[1:2])):
        print(*part(*sys.argv[2:4]))
    else:
        main()
