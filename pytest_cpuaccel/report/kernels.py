"""The kernels that ran, as lines for reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_cpuaccel.report.row import Row

_SHOWN = 4
"""Kinds of kernels that are named on the terminal."""


def kernel_lines(rows: Iterable[Row]) -> list[str]:
    """Return a line for each model, backend and call with a census: ``ort: Mlp forward 2x16: 4 Gemm fp32, ...``."""
    found = {}
    for row in rows:
        result = row.result
        if result.kernels is not None:
            found[f"{result.backend}: {result.model} {result.call}"] = result.kernels.line
    return [f"{of}: {line}" for of, line in found.items()]


def first_of_each_backend(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a short line for each backend, of the first call with a census."""
    shown = set()
    for row in rows:
        result = row.result
        if result.kernels is not None and result.backend not in shown:
            shown.add(result.backend)
            yield f"kernels of {result.backend} ({result.model} {result.call}): {result.kernels.line_of(_SHOWN)}"
