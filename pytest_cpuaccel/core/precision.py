"""The arithmetic a backend claims to run in, which decides how its parity is judged."""

from __future__ import annotations

from enum import Enum


class Precision(str, Enum):
    """Number format of the heavy operators: matrix products and convolutions."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"
