"""All outputs of a call, those of a backend beside those of eager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.measurement.parity import (
    FloatFigures,
    FormDifference,
    OutputMeasurement,
    ParityMeasurement,
)
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import REDUCED
from pytest_cpuaccel.measure.parity.leaves import OutputPair, Pairing, float_pairs, pair_leaves
from pytest_cpuaccel.measure.parity.mask import mask_for
from pytest_cpuaccel.measure.parity.output import Ask, Output, measured
from pytest_cpuaccel.measure.parity.pieces import Pieces
from pytest_cpuaccel.measure.parity.references import References
from pytest_cpuaccel.measure.parity.ties import Ties


def paired(actual: Any, references: References, precision: Precision) -> Pairing:
    """Return what a backend returned and what eager returns in pairs, each with all that is known of the reference."""
    rounding = None if precision is Precision.FP32 else references.rounding  # fp32 eager is the rounded one
    pairing = pair_leaves(actual, references.expected, references.expected64, rounding, references.reordered)
    return replace(pairing, pairs=tuple(_with_choices(pair, references) for pair in pairing.pairs))


@dataclass(frozen=True)
class Outputs:
    """The outputs in pairs, with the padding mask that goes with each."""

    pairing: Pairing
    masks: Mapping[str, torch.Tensor | None]
    precision: Precision

    @staticmethod
    def of(pairing: Pairing, inputs: Inputs, mask: str | None, precision: Precision) -> Outputs:
        """Return the outputs of a call with these inputs; ``mask`` names the one that marks padding, None finds it.

        Raises:
            UsageError: ``mask`` is no input, or no mask.
        """
        names = (*(pair.name for pair in pairing.pairs), *pairing.missing)
        masks = {pair.name: mask_for(pair.name, inputs, mask, names) for pair in pairing.pairs}
        return Outputs(pairing, masks, precision)

    def measure(self, ask: Ask, *, unrounded: bool = False) -> ParityMeasurement:
        """Measure all of them; ``unrounded`` has those counted that a reduced precision can't hold."""
        found = tuple(measured(Output(pair, self.masks[pair.name], self.precision), ask) for pair in self.pairing.pairs)
        count = self._unrounded(found) if unrounded and self.precision in REDUCED else None
        return ParityMeasurement((*self._on_one_side(), *found), self.precision, self.pairing.notes, count)

    def _on_one_side(self) -> Iterator[OutputMeasurement]:
        pairing, names = self.pairing, [pair.name for pair in self.pairing.pairs]
        of_backend, of_eager = _listed((*names, *pairing.extra)), _listed((*names, *pairing.missing))
        for name in pairing.missing:
            yield OutputMeasurement(name, FormDifference("missing", actual=of_backend))
        for name in pairing.extra:
            yield OutputMeasurement(name, FormDifference("extra", expected=of_eager))

    def _unrounded(self, found: tuple[OutputMeasurement, ...]) -> int | None:
        if any(isinstance(item.figures, FloatFigures) and not item.figures.are_identical for item in found):
            return None
        pairs = [pair for pair in float_pairs(self.pairing) if pair.expected.dtype is torch.float32]
        if not all(torch.equal(pair.actual, pair.expected) for pair in pairs):
            return None
        return sum(map(_finer_than_bf16, pairs))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _with_choices(pair: OutputPair, references: References) -> OutputPair:
    ties = references.ties or Ties({}, ())
    return replace(pair, chosen=references.selections, tied=ties.hanging.get(pair.name), choosers=ties.operators)


def _finer_than_bf16(pair: OutputPair) -> int:
    """How many of eager's elements bf16 can't hold."""
    everything = torch.tensor(True).expand(pair.expected.shape)
    vectors = (piece.vectors[0] for piece in Pieces((pair.expected,), everything))
    return sum(int((vector.bfloat16() != vector).sum()) for vector in vectors if vector is not None)
