"""The kernel census of Inductor: its own kernels from the code that it wrote, and the operators that this calls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from pytest_cpuaccel.backends.torch_census import census
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus

if TYPE_CHECKING:
    from pytest_cpuaccel.backends.toolkit.operator_record import OperatorRecord

_SOURCE = "Inductor's code and torch's dispatcher"
_CALLS = 3
"""Calls whose operators are timed."""

_KERNEL = re.compile(r"^(\w+) = async_compile\.cpp\w*\(\[(.*?)\], r?'''(.*?)'''", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"_\d+$")
POINTER = re.compile(r"([\w:<>]+)\*")
_FLOATS = {
    "float": "fp32",
    "double": "fp64",
    "bfloat16": "bf16",
    "half": "fp16",
    "at::BFloat16": "bf16",
    "at::Half": "fp16",
}
_BYTES = {"int8_t", "uint8_t"}
_INDICES = {"int64_t", "int32_t", "int16_t", "uint64_t", "uint32_t", "uint16_t", "bool"}
_GEMM = "micro_gemm"
"""Stands in the code of kernels that hold a matrix product."""


class Compiled(Protocol):
    """What has compiled a model: ``codes`` of each graph, ``ran`` lists those that ran under ``watch``, by number.

    ``breaks_seen`` is how often dynamo broke a graph, with functions that it
    inlined counted twice; None where later calls compiled more.
    """

    codes: list[str]
    ran: list[int]
    watch: OperatorRecord | None

    @property
    def breaks_seen(self) -> int | None: ...


def count_compiled(compiled: Compiled, module: Any, method: Method, inputs: Inputs) -> KernelCensus:
    """Count what a compiled module runs for a call. What Python runs between graphs is not seen."""
    from pytest_cpuaccel.backends.toolkit.library_lines import library_lines

    function = module if method == "forward" else module.generate
    with library_lines() as lines:
        counted, ran = _run(compiled, function, inputs, lines)
    repeated = [_run(compiled, function, inputs)[0] for _ in range(_CALLS)]
    same = [runs for runs in repeated if [run.operator for run in runs] == [run.operator for run in counted]]
    called = census(counted, same)
    kernels = tuple(replace(kernel, stored=None) for kernel in called.kernels)  # what fused kernels make seems constant
    breaks = _breaks(compiled.breaks_seen, ran, method)
    return replace(
        called,
        source=_SOURCE,
        kernels=(*kernels, *fused(compiled.codes[number] for number in ran)),
        is_complete=breaks == 0 and method == "forward" and all(compiled.codes[number] for number in ran),
        graph_breaks=breaks,
    )


def fused(codes: Iterable[str]) -> list[Kernel]:
    """Return the kernels of Inductor's own that graphs call which ran, each without its number."""
    counts: Counter[tuple[str, str | None]] = Counter()
    for code in codes:
        kernels = _KERNEL.findall(code)
        calls = Counter(re.findall(r"^\s+(\w+)\(", _KERNEL.sub("", code), re.MULTILINE))
        for name, arguments, source in kernels:
            is_gemm = _GEMM in source
            op = _NUMBER.sub("", name)
            op = op.replace("cpp_fused", _GEMM, 1) if is_gemm else op
            counts[op, precision_of(set(POINTER.findall(arguments)), is_gemm=is_gemm)] += calls[name]
    return [Kernel(op, number, compute) for (op, compute), number in counts.items() if number]


def _breaks(seen: int | None, ran: list[int], method: Method) -> int | None:
    """One less than there are graphs, as torch counts them; a break that no other graph follows is one too."""
    if not seen:
        return seen
    return max(1, len(set(ran)) - 1) if method == "forward" else None


@contextmanager
def code_noted(codes: list[str]) -> Iterator[None]:
    """Append the code of every graph that Inductor compiles, or finds in its cache, to ``codes``."""
    from torch._inductor.graph import GraphLowering

    before: Callable[[str], None] | None = getattr(GraphLowering, "save_output_code", None)

    def note(code: str) -> None:
        codes.append(code)
        if before is not None:
            before(code)

    GraphLowering.save_output_code = note
    try:
        yield
    finally:
        GraphLowering.save_output_code = before


def graph_breaks_so_far() -> int | None:
    """Return how often dynamo has broken a graph in this process; None where the release doesn't count."""
    try:
        from torch._dynamo.utils import counters
    except ImportError:
        return None
    return sum(counters["graph_break"].values())


def _run(compiled: Compiled, function: Callable[..., Any], inputs: Inputs, lines: Callable[[], str] = str) -> Any:
    """The operators and graphs of a call."""
    import torch

    from pytest_cpuaccel.backends.toolkit.operator_record import OperatorRecord
    from pytest_cpuaccel.core.private_inputs import private_inputs

    given = private_inputs(inputs)
    compiled.watch, compiled.ran = OperatorRecord([given.args, given.kwargs], lines), []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            function(*given.args, **given.kwargs)
        return compiled.watch.runs, compiled.ran
    finally:
        compiled.watch = None


def precision_of(pointers: set[str], *, is_gemm: bool) -> str | None:
    """Return the precision by the types that a kernel reads and writes, where these leave no doubt."""
    floats, bytes_ = {_FLOATS.get(name) for name in pointers - _INDICES - _BYTES}, pointers & _BYTES
    if bytes_:
        return "int8" if is_gemm and bytes_ == _BYTES else None
    only = floats.pop() if len(floats) == 1 else None
    if is_gemm:
        from pytest_cpuaccel.backends.toolkit import fp32_precision

        return None if only == "fp32" and fp32_precision.may_reduce() else only
    return only if only in ("fp32", "fp64") else None
