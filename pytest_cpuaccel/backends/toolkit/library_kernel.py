"""A kernel of oneDNN or MKL, read from the line that the library writes when it runs one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_MKL = re.compile(r"MKL_VERBOSE ([A-Za-z]\w*)\(")
_FORMAT = re.compile(r"\b(src|wei|weights|src_layer|wei_layer|data)(?:_\w+)?:(\w+)")
_FPMATH = re.compile(r"attr-fpmath:(\w+)")
_MATRIX = ("matmul", "inner_product", "convolution", "deconvolution", "rnn", "gemm")
_FLOATS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "f64": "fp64"}
_INT8 = ("s8", "u8")
_REDUCING = ("bf16", "amx")
"""Words of the names of kernels that can compute a product of fp32 matrices in bfloat16."""


@dataclass(frozen=True)
class LibraryKernel:
    """``name`` as the library has it; ``is_matrix`` for a matrix product or convolution; ``compute`` may be unknown."""

    name: str
    is_matrix: bool
    compute: str | None


def kernels_in(text: str) -> list[LibraryKernel]:
    """Return the kernels that lines tell of, without those that only lay data out anew."""
    return [kernel for line in text.splitlines() if (kernel := _mkl(line) or _onednn(line)) is not None]


def names(kernels: Iterable[LibraryKernel]) -> str | None:
    """Return the names, each once; None for no kernels."""
    return "+".join(dict.fromkeys(kernel.name for kernel in kernels)) or None


def _mkl(line: str) -> LibraryKernel | None:
    found = _MKL.match(line)
    if found is None:
        return None
    name = found[1].lower()
    return LibraryKernel(f"mkl_{name}", "gem" in name, _mkl_precision(name))


def _mkl_precision(name: str) -> str | None:
    for word, precision in (("bf16", "bf16"), ("f16", "fp16"), ("s8", "int8"), ("u8", "int8")):
        if word in name:
            return precision
    return {"s": "fp32", "d": "fp64"}.get(name[0])


def _onednn(line: str) -> LibraryKernel | None:
    fields = line.split(",")
    if not fields[0].endswith("_verbose") or "exec" not in fields:
        return None
    _, _, kind, name, *rest = fields[fields.index("exec") :] + [""] * 4
    if kind == "reorder":
        return None
    return LibraryKernel(name, kind in _MATRIX, _precision(name, ",".join(rest)) if kind in _MATRIX else None)


def _precision(name: str, details: str) -> str | None:
    formats = {side[:3]: form for side, form in _FORMAT.findall(details)}
    source, weights = formats.get("src"), formats.get("wei")
    if source in _INT8:
        return "int8" if weights in _INT8 else None
    allowed = _FPMATH.search(details)
    if source == "f32" and allowed and allowed[1] not in ("strict", "f32"):
        return "bf16" if allowed[1] == "bf16" and any(word in name for word in _REDUCING) else None
    return _FLOATS.get(source or "") if source == weights else None
