"""Kernels that hold the heavy arithmetic: matrix products, convolutions, fused attention and recurrent layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from pytest_cpuaccel.core.kernel_census import Kernel

_PRODUCT = re.compile(
    r"matmul|gemm|einsum|inner_?product|fully_?connected|linear|conv|lstm|gru|rnn|attention|encoder_layer|mha|sdpa"
    r"|(?<![a-z])(?:add|badd)?b?m[mv](?![a-z])"
)
_OTHER = re.compile(
    r"quantizelinear|quantize_linear|qlinear(?!conv|matmul|_|$)|bilinear|trilinear|upsample|interpolat|resize|convert"
    r"|reorder|_(?:un)?prepack$|scores_calc|^cpp_fused"
)
"""Names that hold a word of the above and mean something else, such as ``QuantizeLinear`` and ``Convert``."""


def is_matrix_kernel(kernel: Kernel) -> bool:
    """Tell whether an operation consists of matrix products or convolutions, by the runtime's name for it."""
    name = kernel.op.lower()
    return _PRODUCT.search(name) is not None and _OTHER.search(name) is None


def matrix_kernels(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Return those that consist of matrix products or convolutions."""
    return [kernel for kernel in kernels if is_matrix_kernel(kernel)]


def computed_in(kernels: Iterable[Kernel]) -> Counter[str | None]:
    """Return how many of the matrix kernels computed in each precision; None stands for one that is not known."""
    counts: Counter[str | None] = Counter()
    for kernel in matrix_kernels(kernels):
        counts[kernel.compute] += kernel.count
    return counts


def noun(kernels: Iterable[Kernel]) -> str:
    """Return what to call several matrix kernels: "matmuls", "convolutions", or both."""
    convolve = {"conv" in kernel.op.lower() for kernel in matrix_kernels(kernels)}
    if convolve == {True}:
        return "convolutions"
    return "matmuls and convolutions" if True in convolve else "matmuls"
