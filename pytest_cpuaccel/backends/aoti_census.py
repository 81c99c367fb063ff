"""The kernel census of AOTInductor, from the C++ code in its package: one graph, whose every line runs once a call."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path

from pytest_cpuaccel.backends.inductor_census import POINTER, precision_of
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import BuildError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kernel_census import Kernel, KernelCensus
from pytest_cpuaccel.core.matrix_kernels import is_matrix_kernel

_SOURCE = "AOTInductor's code"
_RUN = "AOTInductorModel::run_impl("
_END = "} // AOTInductorModel::run_impl"
_OWN = re.compile(r"\b(cpp_fused\w*_\d+)\(")
_CALLED = re.compile(r"\baoti_torch_cpu_(\w+)\(")
_DECLARED = re.compile(r"\bvoid\s+(cpp_fused\w*_\d+)\(([^()]*)\);")
_NUMBER = re.compile(r"_\d+$")
_TYPES = re.compile(r"CACHE_TORCH_DTYPE\((\w+)\)")
_ELSEWHERE = "proxy_executor_call_function("
"""Calls an operator that the code has no name of."""

_BRANCH = "// subgraph:"
"""Begins the code of a branch or loop, of which the code doesn't tell how often it runs."""

_FLOATS = {"float32", "float64", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"}
_NUMBERS = _FLOATS | {"int8", "uint8"}


def count(subject: Subject, folder: Path | None, method: Method, inputs: Inputs) -> KernelCensus:  # noqa: ARG001
    """Count what the package in ``folder`` runs for a forward call.

    Raises:
        BuildError: the call is no forward call, or the package holds no code.
    """
    if method != "forward":
        raise BuildError(f"no kernel census of {method}(): the code does not tell how many steps it takes")
    assert folder is not None
    codes = [text for file in sorted(folder.glob("*.pt2")) for text in _wrappers(file)]
    if not codes:
        raise BuildError("no kernel census: the package holds no C++ code")
    kernels = tuple(kernel for code in codes for kernel in kernels_of(code))
    is_complete = not any(_ELSEWHERE in _body(code) for code in codes)
    return KernelCensus(_SOURCE, kernels, is_complete=is_complete, graph_breaks=0)


def kernels_of(code: str) -> list[Kernel]:
    """Return the kernels that the code of one graph runs.

    Raises:
        BuildError: the code has no function that runs the graph, or the graph has branches.
    """
    types = {name: precision_of(set(POINTER.findall(given)), is_gemm=False) for name, given in _DECLARED.findall(code)}
    body = _body(code)
    if _BRANCH in body:
        raise BuildError("no kernel census: the code has branches or loops")
    ran = Counter((_NUMBER.sub("", name), types.get(name)) for name in _OWN.findall(body))
    own = [Kernel(name, number, compute) for (name, compute), number in ran.items()]
    is_fp32 = set(_TYPES.findall(code)) & _NUMBERS == {"float32"} and precision_of({"float"}, is_gemm=True) == "fp32"
    called = Counter(name.removesuffix("_out") for name in _CALLED.findall(body))
    return [
        *(
            Kernel(op, number, "fp32" if is_fp32 and is_matrix_kernel(Kernel(op, 1)) else None)
            for op, number in called.items()
        ),
        *own,
    ]


def _body(code: str) -> str:
    _, start, rest = code.rpartition(_RUN)
    if not start:
        raise BuildError("no kernel census: the package's C++ code has no function that runs the graph")
    return rest.partition(_END)[0]


def _wrappers(file: Path) -> list[str]:
    with zipfile.ZipFile(file) as package:
        return [package.read(name).decode() for name in package.namelist() if name.endswith("wrapper.cpp")]
