"""The kernel census of OpenVINO: what its counters tell of one call, from a compiled model of its own."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_cpuaccel.backends.openvino_requests import finished_requests
from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.isa import widest_named
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel

Load = Callable[[Subject, Path | None], BuiltModel]

_SOURCE = "OpenVINO's counters"
_MOST_CALLS = 50
"""A counter holds whole microseconds, so that short kernels take as many calls to be timed."""

_LONGEST_S = 0.3
"""Calls are repeated for no longer than this, once there are two."""

_FLOATS = {"f32": "fp32", "fp32": "fp32", "bf16": "bf16", "f16": "fp16", "fp16": "fp16", "f64": "fp64"}
_INT8 = ("i8", "u8")
_MOVING = frozenset(
    (
        "Broadcast",
        "Concat",
        "Convert",
        "Gather",
        "GatherElements",
        "Pad",
        "Range",
        "Reorder",
        "Reshape",
        "ScatterUpdate",
        "ShapeOf",
        "Slice",
        "Split",
        "Squeeze",
        "StridedSlice",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "VariadicSplit",
    )
)
"""Operations that move data and compute nothing."""

_NO_WORK = frozenset(
    ("Assign", "Constant", "Parameter", "ReadValue", "Reshape", "Result", "ShapeOf", "Squeeze", "Unsqueeze")
)
_IN_PLACE = frozenset(("Concat", "Slice", "Split", "StridedSlice", "VariadicSplit"))
"""Operations that OpenVINO leaves out where the memory lies right."""

_INDICES = ("_i32", "_i64", "_u32", "_u64", "_boolean")
"""How the names of kernels end that compute shapes and indices, which are left out."""


@dataclass(frozen=True)
class Node:
    """A node that ran: its operation, the name of its kernel, and how its weights are stored; None for no weights."""

    op: str
    kernel: str
    stored: str | None = None


@dataclass
class Counted:
    """What the counters of one compiled model say: who ran in its first run, and the mean times of all its runs."""

    nodes: Mapping[str, Node]
    first_us: Mapping[str, float]
    runs: int = 1
    mean_us: Mapping[str, float] = field(default_factory=dict)

    def us(self, name: str) -> float | None:
        """Return the mean time of a node without the first run, in which it was prepared; None after one run."""
        if self.runs < 2:
            return None
        return max(0.0, self.mean_us.get(name, 0.0) * self.runs - self.first_us[name]) / (self.runs - 1)


def count(load: Load, subject: Subject, folder: Path | None, method: Method, inputs: Inputs) -> KernelCensus:
    """Count what a compiled model of its own runs for a call; of ``generate()``, for its first step.

    Raises:
        BuildError: the model can't be loaded, or ran nothing.
    """
    requests = _Requests()
    built = load(subject, folder)
    try:
        with finished_requests(requests.note):
            calls = _call(built, method, inputs)
        found = requests.counted()
    finally:
        built.close()
    if not found:
        raise BuildError("no kernel census: OpenVINO ran nothing")
    return census(found, calls)


def census(found: Sequence[Counted], calls: int) -> KernelCensus:
    """Return the census of one of several equal calls by the counters of all models that these ran.

    It is complete if each model ran once a call. Of further runs the counters don't tell what ran.
    """
    runs = sum(counted.runs for counted in found)
    is_whole = runs == calls * len(found)
    source = _SOURCE if is_whole else f"{_SOURCE}, {_counted_part(len(found), runs // calls)}"
    rows = tuple(kernels(found, with_times=is_whole))
    fallbacks = tuple(
        f"{row.op} ({row.implementation})" for row in rows if _is_reference(row) for _ in range(row.count)
    )
    isa = widest_named(row.implementation or "" for row in rows)
    return KernelCensus(source, rows, is_whole, fallbacks, isa)


def _counted_part(graphs: int, runs: int) -> str:
    if graphs == 1:
        return f"of the first of {runs} steps"
    return f"of the first run of each of {graphs} graphs, which ran {runs} times together"


def kernels(found: Iterable[Counted], *, with_times: bool = True) -> Iterator[Kernel]:
    """Yield the kernels of models that each ran once."""
    counts: Counter[Node] = Counter()
    times: defaultdict[Node, list[float | None]] = defaultdict(list)
    for counted in found:
        for name, node in counted.nodes.items():
            counts[node] += 1
            times[node].append(counted.us(name) if with_times else None)
    for node, number in counts.items():
        known = [us for us in times[node] if us is not None]
        us = sum(known) if len(known) == number else None
        implementation = None if node.kernel.startswith("unknown") else node.kernel
        yield Kernel(node.op, number, _compute(node), node.stored, implementation, us)


def _call(built: BuiltModel, method: Method, inputs: Inputs) -> int:
    """Call a model once, or more often for the times; return how often."""
    import torch

    from pytest_cpuaccel.backends.toolkit.run_once import rehearse

    if method != "forward":
        assert built.generate is not None
        rehearse(built.generate, inputs)
        return 1
    start = time.perf_counter()
    with torch.no_grad():
        for calls in range(1, _MOST_CALLS + 1):
            rehearse(built.forward, inputs)
            if calls > 1 and time.perf_counter() - start > _LONGEST_S:
                break
    return calls


class _Requests:
    """The requests that ran; those of one compiled model share their counters, and are told by its nodes."""

    def __init__(self) -> None:
        self._counted: dict[frozenset[str], Counted] = {}
        self._models: dict[int, Counted] = {}
        self._kept: list[Any] = []  # so that no two have one id

    def note(self, request: Any) -> None:
        """Count a run."""
        if id(request) in self._models:
            self._models[id(request)].runs += 1
            return
        self._kept.append(request)
        items = request.get_profiling_info()
        nodes = frozenset(item.node_name for item in items)
        if nodes in self._counted:
            self._counted[nodes].runs += 1
        else:
            self._counted[nodes] = _first(request, items)
        self._models[id(request)] = self._counted[nodes]

    def counted(self) -> list[Counted]:
        """Return what was counted for each compiled model."""
        for request in self._kept:
            items = request.get_profiling_info()
            self._models[id(request)].mean_us = {item.node_name: _us(item) for item in items}
        return [*self._counted.values()]


def _first(request: Any, items: Iterable[Any]) -> Counted:
    ran = {item.node_name: item for item in items if _has_run(item)}
    stored = dict(_stored(request.get_compiled_model().get_runtime_model()))
    nodes = {name: Node(item.node_type, item.exec_type, stored.get(name)) for name, item in ran.items()}
    return Counted(nodes, {name: _us(item) for name, item in ran.items()})


def _has_run(item: Any) -> bool:
    """Tell whether a node ran. What takes less than a microsecond has the status of what did not run."""
    if item.node_type in _NO_WORK or item.exec_type.endswith(_INDICES):
        return False
    return item.node_type not in _IN_PLACE or bool(item.status == item.Status.EXECUTED)


def _us(item: Any) -> float:
    return float(item.real_time.total_seconds()) * 1e6


def _stored(model: Any) -> Iterator[tuple[str, str]]:
    """Yield the names of matrix operations with a constant as their second input, and the precision of that."""
    for operation in model.get_ops():
        if operation.get_input_size() < 2 or not is_matrix_kernel(Kernel(_layer(operation), 1)):
            continue
        port = operation.input_value(1)
        name = port.get_element_type().get_type_name()
        if _layer(port.get_node()) == "Const" and name not in ("dynamic", "undefined"):
            yield operation.get_friendly_name(), "int8" if name in _INT8 else _FLOATS.get(name, name)


def _layer(operation: Any) -> str:
    return str(operation.get_rt_info()["layerType"].value)


def _compute(node: Node) -> str | None:
    """By the last word of its kernel's name; ``runtimePrecision`` may be that of the weights alone."""
    if node.op in _MOVING:
        return None
    is_matrix = is_matrix_kernel(Kernel(node.op, 1))
    word = node.kernel.rpartition("_")[2].lower()
    if word in _INT8:
        return "int8" if is_matrix else None
    told = _FLOATS.get(word)
    return told if is_matrix or told not in ("fp16", "bf16") else None  # others may take such and compute in fp32


def _is_reference(kernel: Kernel) -> bool:
    """Tell whether a plain loop ran in place of a matrix kernel; attention has no other name than that."""
    name = kernel.implementation or ""
    return name.startswith("ref") and is_matrix_kernel(kernel) and "attention" not in kernel.op.lower()
