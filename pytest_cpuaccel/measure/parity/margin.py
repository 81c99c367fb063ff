"""The margin between two scores that rounding can turn round."""

from __future__ import annotations

import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import BARS, INT8_SQNR_DB
from pytest_cpuaccel.measure.parity import error


def margin_bound(logits: torch.Tensor, exact: torch.Tensor, precision: Precision) -> float:
    """Return the margin between two logits of one position, (vocabulary,), that the precision can turn round.

    With ``d`` the error that parity allows any one logit, two logits can approach each other by ``2 d``. In
    fp32 ``d = max(k * max|logits - exact|, floor * max|exact|)``, ``exact`` being eager's logits in fp64.
    Where those are not known (``exact is logits``) and in all but fp32, ``d`` is the default ``rtol`` of the
    precision times ``max|exact|``; in int8 it is the RMS error that the least allowed SQNR stands for.
    """
    logits, exact = logits.double(), exact.double()
    largest = float(exact.abs().max())
    if precision is Precision.INT8:
        return 2 * 10 ** (-INT8_SQNR_DB / 20) * error.rms(exact)
    bar = BARS[precision]
    if precision is not Precision.FP32 or torch.equal(logits, exact):
        return 2 * bar.rtol * largest
    return 2 * max(bar.k * float((logits - exact).abs().max()), bar.floor * largest)
