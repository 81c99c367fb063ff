"""References: what eager gives for the inputs of a call, in several precisions and orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.measure.parity.reordered import Reordered
from pytest_cpuaccel.measure.parity.selection import Selection
from pytest_cpuaccel.measure.parity.ties import Ties


@dataclass(frozen=True)
class References:
    """What eager gives for the inputs of a call: bare outputs, or :class:`Answer` values.

    ``expected`` is eager in fp32; ``expected64`` eager in fp64, None where that can't run; ``rounding``
    eager in the backend's own precision, whatever its type: for fp32 the same as ``expected``, for int8 with rounded
    layers, None where that can't run. ``reordered`` is eager in fp32 with running sums, None where it has no long sum.
    ``selections`` are what it chose indices from. ``state`` names what the call changes in the model; the answers then
    hold for a first call alone. ``touched`` also names what only a first call changes. ``unproven`` are random
    generators that it draws from, though none of its answers was seen to hang on that, ``ties`` is where they hang on
    choices between equal scores.
    """

    expected: Any
    expected64: Any | None = None
    rounding: Any | None = None
    reordered: Reordered | None = None
    selections: tuple[Selection, ...] = ()
    state: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    ties: Ties | None = None
