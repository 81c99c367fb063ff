"""The kernel census of backends that run torch's own operators: one watched call, from an instance of its own."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pytest_cpuaccel.core.backend import BuiltModel, Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.isa import widest_named
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel

if TYPE_CHECKING:
    from pytest_cpuaccel.backends.toolkit.operator_record import OperatorRun

Load = Callable[[Subject, Path | None], BuiltModel]
Key = tuple[str, str | None, str | None, str | None]

_SOURCE = "torch's dispatcher"
_TIMED = 3
_LONGEST_S = 0.3
"""Calls are timed for no longer than this, once there is one."""

_INT8 = ("quantized::", "onednn::q")
"""How the names of operators begin that take floats, or packed weights, and compute in int8."""

_UNTOLD = ("_weight_int", "_fp16", "_4bit", "_int4")
"""Parts of the names of operators whose arithmetic neither their name nor their inputs tell."""


def count(load: Load, subject: Subject, folder: Path | None, method: Method, inputs: Inputs) -> KernelCensus:
    """Count what an instance of its own runs for a call.

    Raises:
        BuildError: the model can't be loaded, or repeated calls ran different operations.
    """
    built = load(subject, folder)
    try:
        return count_built(built, method, inputs)
    finally:
        built.close()


def count_built(built: BuiltModel, method: Method, inputs: Inputs) -> KernelCensus:
    """Count what a built model runs for a call: once for its operators, then for their times.

    Raises:
        BuildError: repeated calls ran different operations.
    """
    from pytest_cpuaccel.backends.toolkit.library_lines import library_lines

    function = built.method(method)
    record(function, inputs)  # the first call prepares what later ones find
    with library_lines() as lines:
        counted = record(function, inputs, lines)
    repeated: list[list[OperatorRun]] = []
    start = time.perf_counter()
    while len(repeated) < _TIMED and (not repeated or time.perf_counter() - start < _LONGEST_S):
        repeated.append(record(function, inputs))
        if [run.operator for run in repeated[-1]] != [run.operator for run in counted]:
            raise BuildError("no kernel census: the same call ran different operations when repeated")
    return census(counted, repeated)


def record(function: Callable[..., Any], inputs: Inputs, lines: Callable[[], str] = str) -> list[OperatorRun]:
    """Return the operators that a call runs; torch's generator of random numbers is left as it was."""
    import torch

    from pytest_cpuaccel.backends.toolkit.operator_record import OperatorRecord
    from pytest_cpuaccel.core.private_inputs import private_inputs

    given = private_inputs(inputs)
    watch = OperatorRecord([given.args, given.kwargs], lines)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), watch:
        function(*given.args, **given.kwargs)
    return watch.runs


def census(counted: Sequence[OperatorRun], repeated: Sequence[Sequence[OperatorRun]]) -> KernelCensus:
    """Return the census of a call whose operators are known, with times of equal calls."""
    import torch

    from pytest_cpuaccel.backends.toolkit.library_kernel import names

    places: defaultdict[Key, list[int]] = defaultdict(list)
    for place, run in enumerate(counted):
        op = run.operator.removeprefix("aten::")
        is_matrix = is_matrix_kernel(Kernel(op, 1))
        stored = (run.stored or _packed(run)) if is_matrix else None
        places[op, _compute(run, is_matrix), stored, names(run.kernels)].append(place)
    kernels = tuple(
        Kernel(op, len(of), compute, stored, implementation, _us(of, repeated))
        for (op, compute, stored, implementation), of in places.items()
    )
    named = [kernel.implementation for kernel in kernels if kernel.implementation]
    return KernelCensus(_SOURCE, kernels, isa=widest_named([*named, torch.backends.cpu.get_cpu_capability()]))


def _us(places: Sequence[int], repeated: Sequence[Sequence[OperatorRun]]) -> float | None:
    """The median over calls of the time of all these operators."""
    times = [sum(call[place].us for place in places) for call in repeated]
    return median(times) if times else None


def _packed(run: OperatorRun) -> str | None:
    """The format of weights that are no tensor but packed, of an operator's name."""
    if any(part in run.operator for part in _UNTOLD):
        return None
    return "int8" if run.operator.startswith(_INT8) else None


def _compute(run: OperatorRun, is_matrix: bool) -> str | None:
    """What a library says, else what the formats of the tensors leave no doubt of."""
    from pytest_cpuaccel.backends.toolkit import fp32_precision

    told = {kernel.compute for kernel in run.kernels if kernel.is_matrix}
    if is_matrix and told:
        return told.pop() if len(told) == 1 else None
    if any(part in run.operator for part in _UNTOLD):
        return None
    if is_matrix and run.operator.startswith(_INT8):
        return "int8"
    formats = set(run.formats)
    only = formats.pop() if len(formats) == 1 else None
    if is_matrix:
        return None if only == "fp32" and fp32_precision.may_reduce() else only
    return only if only in ("fp32", "fp64") and not _moves(run.operator) else None


def _moves(operator: str) -> bool:
    return operator.rpartition("::")[2] in _MOVING


_MOVING = frozenset(
    (
        "_to_copy",
        "arange",
        "cat",
        "clone",
        "constant_pad_nd",
        "copy_",
        "embedding",
        "fill_",
        "flip",
        "full",
        "gather",
        "index",
        "index_put_",
        "index_select",
        "masked_fill",
        "ones",
        "repeat",
        "roll",
        "scatter",
        "stack",
        "tril",
        "triu",
        "where",
        "zeros",
        "zeros_like",
    )
)
"""Operators that move data and compute nothing."""
