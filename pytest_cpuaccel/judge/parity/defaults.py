"""Every default of the parity verdict beside what rounding may come to, with its reason."""

from __future__ import annotations

import functools
import math

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.distribution import t_quantile
from pytest_cpuaccel.core.rounding import INT8_COSINE, INT8_SQNR_DB

COMPRESSED = Tolerance(cosine=INT8_COSINE, sqnr_db=INT8_SQNR_DB)
"""The tolerance of a candidate, another checkpoint in the model's place: it differs by more than rounding."""

NEEDED = 5.0
"""Times eager's rounding that the least exact of the right backends needed, on outputs of many elements."""

LUCK = 1e-3
"""Chance that the rounding of an output of few elements comes out so small that a right backend is blamed."""

BY_LENGTH = 3.0
"""Times ``sqrt(N) u`` that a sum of N terms may be off whose running sum was not computed: that errs by 0.3 to 0.45
times it (uniform, normal, offset and quantised values, N from 1024 to 2**20), and 3 bounds the luck of few outputs."""

OTHER_ORDER = 2.0
"""Times the error of the running sum that any other order may be off: of 32 sums, none of a random order, of 8 or of 64
lanes was off by more than 1.4 times it; a pooling in bf16 is off by 1.3e-3 to 3e-3, 50 times as much."""

FEW_SUMS = 5.0
"""Times ``sqrt(N) u`` that ``luck`` may widen ``OTHER_ORDER`` to where an output has few elements, and its running sum
may be exact by accident: 2e-5 of 4096 terms, 3e-4 of a million."""

UNSTABLE = 10
"""Times as many integers may differ from eager's as eager's own fp64 does, before a difference is the backend's: as
``k``. Where eager's fp64 gives the same integers, none may."""


@functools.cache
def widened(k: float, elements: int) -> float:
    """Return ``k``, or more where so few elements say little about how large rounding is.

    The ratio of two root mean squares of n independent errors of one size exceeds ``sqrt(F)``, F the upper
    LUCK quantile of the F distribution with (n, n) degrees of freedom. That is ``u + sqrt(u**2 + 1)`` at
    ``u = t / sqrt(n)``, t the same quantile of Student's t with n (Cacoullos, JASA 60, 1965, 528-531): 32
    for n = 2, 2 for n = 20. Seen: with two logits, 4 of 400 right answers of ONNX Runtime were 10 to 19
    times eager's rounding off.
    """
    return max(k, NEEDED * luck(elements))


@functools.cache
def luck(elements: int) -> float:
    """Return the ratio of two errors of one size that LUCK of all outputs of so many elements exceed."""
    u = t_quantile(LUCK, elements) / math.sqrt(elements)
    return u + math.sqrt(u * u + 1)
