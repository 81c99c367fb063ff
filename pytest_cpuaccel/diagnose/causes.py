"""Causes: what is the same about every element that is off, and so says where the difference comes from."""

from __future__ import annotations

import math

import torch

from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.diagnose.failing_output import FailingOutput
from pytest_cpuaccel.measure.parity.mask import valid_elements
from pytest_cpuaccel.measure.parity.pieces import PIECE

_FLUSHED = "is a denormal number in eager and 0 here: are denormal numbers flushed to zero?"

_TURN = 1e-3
"""How far from a whole turn a difference may lie."""

_TURNED = "lies 2 pi from eager's: is it an angle, which jumps from pi to -pi?"


def cause_of(failing: FailingOutput) -> Diagnosis | None:
    """Return what is the same about all elements that are off; None where nothing known is.

    They are looked at piece by piece, until one shows none of the known causes.
    """
    pair, expected = failing.pair, failing.pair.expected
    if pair.actual.shape != expected.shape:
        return None
    tiny, found = torch.finfo(expected.dtype).tiny, {_FLUSHED, _TURNED}
    is_any_off = False
    valid = valid_elements(pair.name, expected.shape, failing.mask)
    sides = (pair.actual, expected, valid.expand(expected.shape))
    for got, wanted, counts in zip(*(side.reshape(-1).split(PIECE) for side in sides), strict=True):
        got, wanted = got.double(), wanted.double()
        off = (got - wanted).abs().gt(failing.limit) & counts
        got, wanted = got[off], wanted[off]
        is_any_off |= len(got) > 0
        if bool(got.any()) or bool((wanted.abs() >= tiny).any()):
            found.discard(_FLUSHED)
        if bool((((got - wanted).abs() - math.tau).abs() >= _TURN).any()):
            found.discard(_TURNED)
        if not found:
            return None
    if not is_any_off:
        return None
    return Diagnosis("fault", f"every element of '{pair.name}' that is off {min(found)}", pair.name)
