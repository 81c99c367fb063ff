"""Rounding: how far it may bring an answer off in each precision, and how that was measured.

Measured against eager fp32 on MiniLM (real weights), bert-base, ViT, GPT-2 and ResNet, in units of eager's
own rounding: right fp32 backends 0.9-5.3, right bf16 backends 0.5-1 (of bf16 rounding), bf16 passed off as
fp32 8,000 and more, int8 35,000 and more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cpuaccel.core.precision import Precision


@dataclass(frozen=True)
class Bar:
    """The tolerances of one floating-point precision, relative to the scale of eager's output.

    ``k``: times eager's own rounding error in that precision that a backend may be off.
    ``judge.parity.defaults.widened`` widens it for few elements.
    ``floor``: error that is never held against a backend, since rounding alone may cause it.
    ``few_elements``: most that ``k`` may be widened to for outputs of few elements.
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

INT8_NEEDED = 6.0
"""Times int8 rounding that a backend may be off. Of 21 tiny architectures and the digits of the example project, usual
backends needed 4.3 at most, and of a real MiniLM 5.4: they have one scale for all activations of a layer."""

INT8_BROKEN = 2 * INT8_NEEDED
"""Times int8 rounding beyond which no usual backend was seen by far, and most planted faults were. Between both lie
mild faults (an ignored mask on MiniLM: 7.6) and coarse kernels (static int8 on MiniLM: 7.8 and 8.4): INCONCLUSIVE."""

INT8_NEAR_TIE = 2 * 2**0.5 * INT8_NEEDED
"""Times int8 rounding of a logit, as root mean square, up to which two of them are a near-tie: two standard deviations
of their difference under a backend that is off by as much as INT8_NEEDED allows."""

INT8_CLEAR_TOKENS = 0.9
"""Share of an int8 decoder's tokens, of those that are no near-ties, that have to be eager's."""

INT8_FLOOR = 1e-2
"""Error that is never held against an int8 backend, 40 dB. Some keep embeddings in int8 as well, which eager's int8
rounding leaves as they are: those of a tiny BERT were 0.5 % off under INC. Eager may be nearly exact by luck, too."""

INT8_BLAMED = 0.1
"""Relative RMSE up to which int8 rounding alone blames no backend: 20 dB. Ranges found on one call and used for another
cost a static backend 9 %, 30 times int8 rounding. Where outputs share a large part it may be all that varies."""

LOCK_MARGIN = 2.0
"""Times the larger of what was measured and eager's own error that a tolerance lock proposes: other releases of a
backend, and processors with other instructions, round elsewhere. Under AVX2 16 pairs of backend and tiny model were
off by 1.2 times what they were under AVX-512, at most; between torch 2.8 and 2.13 by 1.3 times."""

REDUCED = frozenset({Precision.FP16, Precision.BF16, Precision.INT8})
"""Precisions in which no answer comes out as eager's fp32 does, to the last bit."""

NEIGHBOURS_AMONG = 3
"""Times as many other rows as nearest neighbours: of as many others as neighbours, any answer would keep all."""

FEWEST_ROWS = NEIGHBOURS_AMONG + 1
"""Rows that one nearest neighbour each needs."""

TELLING_ELEMENTS = 8
"""Minimum count of values not representable in bf16 before bit-equality with fp32 counts as proof that fp32 ran. One
such value comes out of coarser arithmetic with the same last 16 bits with a chance of 2**-16."""

UNIT_ROUNDOFF = 2.0**-24
"""Greatest relative error of rounding one number to fp32."""
