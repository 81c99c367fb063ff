"""The settings by which torch and oneDNN may compute products of fp32 numbers in less."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_MATH_MODES = ("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE")
"""Variables by which a user lets oneDNN compute fp32 products in less."""

_FULL = ("none", "ieee", "")
"""What torch calls fp32 that is computed as such; it inherits ``none`` from a wider setting, if there is any."""

_PARTS = ("matmul", "conv", "rnn")


def may_reduce() -> bool:
    """Tell whether a setting lets torch or oneDNN compute fp32 products in less."""
    if any(os.environ.get(name, "STRICT").upper() != "STRICT" for name in _MATH_MODES):
        return True
    return matmul_precision() != "highest" or any(value not in _FULL for value in precisions().values())


def matmul_precision() -> str | None:
    """Return torch's earlier setting; None where a finer one contradicts it, so that torch refuses to tell."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def set_matmul_precision(precision: str | None) -> None:
    """Put back what :func:`matmul_precision` returned, which the finer settings may have to refine."""
    if precision is not None:
        torch.set_float32_matmul_precision(precision)


def precisions() -> dict[str, str]:
    """Return the finer settings, of torch 2.9 and later, by name, the wider ones first."""
    return {name: str(place.fp32_precision) for name, place in _places()}


def set_precisions(values: Mapping[str, str]) -> None:
    """Put back what :func:`precisions` returned."""
    for name, place in _places():
        if name in values and str(place.fp32_precision) != values[name]:
            place.fp32_precision = values[name]


def _places() -> Iterator[tuple[str, Any]]:
    mkldnn = torch.backends.mkldnn
    named = {"mkldnn": mkldnn, **{f"mkldnn.{part}": getattr(mkldnn, part, None) for part in _PARTS}}
    return ((name, place) for name, place in named.items() if hasattr(place, "fp32_precision"))
