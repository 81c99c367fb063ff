"""The kernel census of ONNX Runtime: what its profiler lists for one call, from a session of its own."""

from __future__ import annotations

import gc
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.gc_freeze import older_objects_uncollected
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel

Load = Callable[[Path, Subject, Path | None], BuiltModel]
"""Loads an artifact in sessions whose profiles get this prefix."""

Event = Mapping[str, Any]
Key = tuple[str, str | None]

_CALLS, _DROPPED = 5, 2
_FLOATS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "double": "fp64"}
_INT8 = frozenset(
    (
        "ConvInteger",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
    )
)
_UNTOLD = frozenset(
    (
        "MatMulNBits",  # an attribute, which the profiler doesn't show, chooses its arithmetic
        *(
            "Cast",
            "Concat",
            "Expand",
            "Gather",
            "Identity",
            "Reshape",
            "Shape",
            "Slice",
            "Split",
            "Squeeze",
            "Transpose",
        ),
        *("Tile", "Unsqueeze", "Where", "ReorderInput", "ReorderOutput"),  # they move data and compute nothing
    )
)


def count(load: Load, subject: Subject, folder: Path | None, method: Method, inputs: Inputs) -> KernelCensus:
    """Count what a session of its own runs for a call, of ``generate()`` in all its steps.

    Raises:
        BuildError: the model can't be loaded, no session wrote a profile, or repeated calls ran different operations.
    """
    with tempfile.TemporaryDirectory() as profiles:
        with older_objects_uncollected():
            _run(load(Path(profiles) / "session", subject, folder), method, inputs)
            gc.collect()  # a session writes its profile when it ends
        files = [json.loads(file.read_text()) for file in sorted(Path(profiles).glob("*.json"))]
    events = [kernel_events(file) for file in files]
    if not any(events):
        raise BuildError("no kernel census: ONNX Runtime wrote no profile")
    return KernelCensus("ONNX Runtime's profiler", tuple(kernel for each in events for kernel in kernels(each)))


def _run(built: BuiltModel, method: Method, inputs: Inputs) -> None:
    import torch

    function = built.method(method)
    try:
        for _ in range(_CALLS):
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                given = inputs.clone()
                function(*given.args, **given.kwargs)
    finally:
        built.close()


def kernel_events(profile: Sequence[Event]) -> list[Event]:
    """Return the events of a profile that are runs of a kernel, in their order."""
    return [item for item in profile if item.get("cat") == "Node" and item["name"].endswith("_kernel_time")]


def kernels(events: Sequence[Event]) -> list[Kernel]:
    """Return the kernels of one of the equal calls that ``events`` show; times are medians of all but the first two.

    Raises:
        BuildError: the calls did not all run the same operations.
    """
    size = len(events) // _CALLS
    calls = [events[place * size : (place + 1) * size] for place in range(_CALLS)]
    counts = [Counter(_key(event) for event in call) for call in calls]
    if len(events) % _CALLS or any(each != counts[0] for each in counts):
        raise BuildError("no kernel census: the same call ran different operations when repeated")
    times: defaultdict[Key, list[int]] = defaultdict(list)
    for call in calls[_DROPPED:]:
        sums: Counter[Key] = Counter()
        for event in call:
            sums[_key(event)] += event["dur"]
        for key in counts[0]:
            times[key].append(sums[key])
    return [Kernel(op, number, compute, us=median(times[op, compute])) for (op, compute), number in counts[0].items()]


def _key(event: Event) -> Key:
    op = event["args"]["op_name"]
    return op, None if op in _UNTOLD else _compute(op, event["args"].get("input_type_shape", ()))


def _compute(op: str, inputs: Sequence[Mapping[str, Any]]) -> str | None:
    """Told by an operation's name where it takes floats and computes in int8; else by the types of its inputs."""
    if op in _INT8 or op.startswith("QLinear"):
        return "int8"
    found = {_FLOATS[name] for each in inputs for name in each if name in _FLOATS}
    told = found.pop() if len(found) == 1 else None
    if told in ("fp16", "bf16") and not is_matrix_kernel(Kernel(op, 1)):
        return None  # a normalisation may take such values and compute in fp32
    return told
