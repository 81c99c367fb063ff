"""Every default of parity, with its reason.

Measured against eager fp32 on MiniLM (real weights), bert-base, ViT, GPT-2 and ResNet, in units of eager's
own rounding: right fp32 backends 0.9-5.3, right bf16 backends 0.5-1 (of bf16 rounding), bf16 passed off as
fp32 8,000 and more, int8 35,000 and more.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.distribution import t_quantile


@dataclass(frozen=True)
class Bar:
    """What one floating-point precision is held to, all relative to the scale of eager's output.

    ``k``: times eager's own rounding error in that precision that a backend may be off; see ``widened``.
    ``floor``: error that is never held against a backend, since rounding alone may cause it.
    ``few_elements``: most that ``k`` may be widened to for outputs of few elements (see ``widened``).
    ``ceiling``: error that no rounding excuses.
    ``unfit``: eager's own error beyond which it can't judge any more: INCONCLUSIVE, unless the answer is worse still.
    ``rtol``, ``scaled_atol``: used where eager can't run in fp64; ``atol`` is ``scaled_atol *
    RMS(expected)``.
    """

    k: float
    floor: float
    few_elements: float
    ceiling: float
    unfit: float
    rtol: float
    scaled_atol: float


BARS: Mapping[Precision, Bar] = {
    Precision.FP32: Bar(
        k=10,  # twice what any right backend needed, 1/800 of what the mildest wrong one did
        floor=1e-6,  # 8 machine epsilons (2**-23): eager may be exact by luck, a fused kernel then is not
        few_elements=1e-4,  # 1/20 of one bf16 rounding (2**-9), so bf16 passed off as fp32 still shows
        ceiling=0.5,  # zeros are off by 1, unrelated values by 1.4; one wrong row of eight by 0.5
        unfit=0.05,  # ceiling / k: beyond it, what k allows is what unrelated values are off by
        rtol=1e-4,  # 10 times what deep fp32 models need, 1/20 of one bf16 rounding
        scaled_atol=1e-4,
    ),
    Precision.FAST_GELU: Bar(
        k=10,  # as fp32; eager with tanh GELU is off by 1e-4 to 2e-4, and so are right backends (1.0 times that)
        floor=1e-6,  # as fp32, which a model without GELU runs in
        few_elements=1e-2,  # 50 times what tanh GELU moves outputs by
        ceiling=0.5,  # as fp32
        unfit=0.05,  # as fp32
        rtol=2e-3,  # 10 times what tanh GELU moves outputs by
        scaled_atol=2e-3,
    ),
    Precision.FP16: Bar(
        k=10,  # as fp32
        floor=1.3e-3,  # 1.3 machine epsilons (2**-10), as bf16
        few_elements=1.3e-2,  # as bf16, whose unit roundoff is eight times as large
        ceiling=0.5,  # as fp32
        unfit=0.25,  # half the ceiling: right backends reach 2 times eager's rounding, as it rounds all they round
        rtol=1.3e-2,
        scaled_atol=1.3e-2,
    ),
    Precision.BF16: Bar(
        k=10,  # as fp32
        floor=1e-2,  # 1.3 machine epsilons (2**-7)
        few_elements=0.1,  # bf16 backends reached 0.07 of the output's range on bert-base
        ceiling=0.5,  # as fp32
        unfit=0.25,  # half the ceiling: right backends reach 2 times eager's rounding, as it rounds all they round
        rtol=0.1,
        scaled_atol=0.1,
    ),
}

INT8_SQNR_DB = 8.0
"""Least signal-to-quantisation-noise ratio: a relative RMSE of 0.40. Sound int8 models lie at 0.01-0.37."""

INT8_COSINE = 0.9
"""Least cosine similarity: noise of 0.40, independent of the signal, leaves 1 / sqrt(1 + 0.40**2) = 0.93."""

COMPRESSED = Tolerance(cosine=INT8_COSINE, sqnr_db=INT8_SQNR_DB)
"""What another checkpoint is held to that is to take a model's place: it differs by more than rounding."""

REDUCED = frozenset({Precision.FP16, Precision.BF16, Precision.INT8})
"""Precisions in which no answer comes out as eager's fp32 does, to the last bit."""

TELLING_ELEMENTS = 8
"""Minimum count of values not representable in bf16 before bit-equality with fp32 counts as proof that fp32 ran. One
such value comes out of coarser arithmetic with the same last 16 bits with a chance of 2**-16."""

NEEDED = 5.0
"""Times eager's rounding that the least exact of the right backends needed, on outputs of many elements."""

LUCK = 1e-3
"""Chance that the rounding of an output of few elements comes out so small that a right backend is blamed."""

BF16_ROUNDING = 2.0**-9
"""Typical relative error of rounding one number to bf16, whose unit roundoff is 2**-8."""

NEARER = 0.8
"""Share of a coarser precision's own error within which an answer is taken to come from that precision. An error of
the same size that has nothing to do with it lies at 1.4, a right answer at 1."""

LONG_SUM = 1024
"""Terms of a sum up to which a plain running sum stays below the floor of fp32: it is off by 0.3 sqrt(N) u, 6e-7."""

LONG_PRODUCT = 8192
"""Terms of a matrix product or convolution up to which a plain running sum (off by 1.6e-6) lies within k times the
rounding of eager's own (4e-7, seen at 8192 terms)."""

MOST_REORDERED = 1 << 26
"""Additions in running sums for one reference: four seconds on one core. Beyond, a sum's length alone counts."""

BY_LENGTH = 3.0
"""Times ``sqrt(N) u`` that a sum of N terms may be off whose running sum was not computed: that errs by 0.3 to 0.45
times it (uniform, normal, offset and quantised values, N from 1024 to 2**20), and 3 bounds the luck of few outputs."""

OTHER_ORDER = 2.0
"""Times the error of the running sum that any other order may be off: of 32 sums, none of a random order, of 8 or of 64
lanes was off by more than 1.4 times it; a pooling in bf16 is off by 1.3e-3 to 3e-3, 50 times as much."""

FEW_SUMS = 5.0
"""Times ``sqrt(N) u`` that ``luck`` may widen ``OTHER_ORDER`` to where an output has few elements, and its running sum
may be exact by accident: 2e-5 of 4096 terms, 3e-4 of a million."""

UNIT_ROUNDOFF = 2.0**-24
"""Greatest relative error of rounding one number to fp32."""

SELF_AGREEMENT = 1e-6
"""Relative difference allowed between two runs of eager: threads may add in another order, no more."""

UNSTABLE = 10
"""Times as many integers may differ from eager's as eager's own fp64 does, before a difference is the backend's: as
``k``. Where eager's fp64 gives the same integers, none may."""

INFINITE = 1e30
"""Values beyond this stand for infinity: masked scores are often ``finfo(dtype).min``, which differs by dtype."""


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


def luck(elements: int) -> float:
    """Return the ratio of two errors of one size that LUCK of all outputs of so many elements exceed."""
    u = t_quantile(LUCK, elements) / math.sqrt(elements)
    return u + math.sqrt(u * u + 1)
