"""The arithmetic that a backend says it runs in; it decides the tolerance of parity."""

from __future__ import annotations

from enum import Enum


class Precision(str, Enum):
    """Number format of the heavy operators: matrix products and convolutions.

    ``FAST_GELU`` is fp32 with GELU approximated by tanh, which moves a model's answers a hundred times further than
    rounding does.
    """

    FP32 = "fp32"
    FAST_GELU = "fp32-fast-gelu"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
