"""One output under a backend and under eager, of which measurements are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from pytest_cpuaccel.core.measurement.parity import (
    Emptiness,
    ExactFigures,
    FormDifference,
    ObjectFigures,
    OtherChoice,
    OutputMeasurement,
)
from pytest_cpuaccel.core.parity_questions import ParityQuestions
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import TELLING_ELEMENTS
from pytest_cpuaccel.measure.parity.exact import exact_figures
from pytest_cpuaccel.measure.parity.floats import Floats
from pytest_cpuaccel.measure.parity.leaves import OutputPair
from pytest_cpuaccel.measure.parity.mask import valid_elements
from pytest_cpuaccel.measure.parity.objects import object_figures
from pytest_cpuaccel.measure.parity.pieces import Pieces, without_repeats
from pytest_cpuaccel.measure.parity.selection import is_selected

Ask = Callable[[OutputMeasurement], ParityQuestions]
"""Says, by what is known of an output, all that is to be known of it; of an output without figures, nothing is."""

_MOST_QUESTIONS = 10
"""Times that more is asked of an output: twice as many as there are questions that hang on answers."""


@dataclass
class Output:
    """``mask`` is the padding mask (batch, sequence) that goes with the pair, None for none."""

    pair: OutputPair
    mask: torch.Tensor | None
    precision: Precision

    def measure(self, asked: ParityQuestions) -> OutputMeasurement:
        """Return what there is to know of it, with the answers to what is asked."""
        name, form = self.pair.name, self._form
        if form is not None:
            return OutputMeasurement(name, form, asked=asked)
        valid = self._valid
        if not bool(without_repeats(valid).any()):
            empty = Emptiness(tuple(valid.shape), is_padding=valid.numel() > 0)
            return OutputMeasurement(name, empty, valid.numel(), asked)
        figures = self._exact if self._floats is None else self._floats.figures(asked)
        return OutputMeasurement(name, figures, valid.numel() - Pieces((), valid).count, asked)

    @property
    def elsewhere(self) -> Output | None:
        """Return the output with eager's own values where eager chose between equal scores.

        None where it hangs on no choice, or differs there in a way that no other choice explains.
        """
        pair, tied = self.pair, self.pair.tied
        if tied is None or not _may_be_another_choice(pair, tied):
            return None
        settled = torch.where(tied, pair.expected.to(pair.actual.dtype), pair.actual)
        return Output(replace(pair, actual=settled, tied=None), self.mask, self.precision)

    @cached_property
    def _form(self) -> ObjectFigures | FormDifference | None:
        return _form(self.pair)

    @cached_property
    def _valid(self) -> torch.Tensor:
        return valid_elements(self.pair.name, self.pair.expected.shape, self.mask)

    @cached_property
    def _floats(self) -> Floats | None:
        expected = self.pair.expected
        is_of_floats = expected.is_floating_point() or expected.is_complex()
        return Floats(self.pair, self._valid) if is_of_floats else None

    @cached_property
    def _exact(self) -> ExactFigures:
        return exact_figures(self.pair, self._valid, self.precision)


def measured(output: Output, ask: Ask) -> OutputMeasurement:
    """Measure an output until nothing more is asked of it."""
    found = OutputMeasurement(output.pair.name)
    for _ in range(_MOST_QUESTIONS):
        asked = ask(found)
        if found.figures is not None and asked == found.asked:
            break
        found = output.measure(asked)
    elsewhere = output.elsewhere if found.asked.elsewhere else None
    if elsewhere is None or output.pair.tied is None:
        return found
    tied = output.pair.tied
    choice = OtherChoice(int(tied.sum()), tied.numel(), output.pair.choosers, measured(elsewhere, ask))
    return replace(found, choice=choice)


def _form(pair: OutputPair) -> ObjectFigures | FormDifference | None:
    """What keeps a pair from being compared element by element; None for nothing."""
    actual, expected = pair.actual, pair.expected
    if not isinstance(actual, torch.Tensor) or not isinstance(expected, torch.Tensor):
        return object_figures(actual, expected)
    if actual.is_nested and not expected.is_nested:
        return FormDifference("nested")
    if actual.shape != expected.shape:
        return FormDifference("shape", str(tuple(actual.shape)), str(tuple(expected.shape)))
    if not _same_kind(actual.dtype, expected.dtype):
        return FormDifference("dtype", str(actual.dtype), str(expected.dtype))
    return None


def _may_be_another_choice(pair: OutputPair, tied: torch.Tensor) -> bool:
    """Whether what differs where eager's hangs on a choice may come of another one: not indices, which are looked into.

    Nor one number throughout, or NaN and infinities where eager has none.
    """
    actual, expected = pair.actual, pair.expected
    if not isinstance(actual, torch.Tensor) or actual.shape != expected.shape or actual.is_nested:
        return False
    if is_selected(expected, pair.chosen):
        return False
    got, wanted = actual[tied], expected[tied]
    is_constant = len(got) >= TELLING_ELEMENTS and bool((got == got[0]).all()) and not bool((wanted == wanted[0]).all())
    return not is_constant and not bool((~got.isfinite() & wanted.isfinite()).any())


def _same_kind(actual: torch.dtype, expected: torch.dtype) -> bool:
    """Equal, or both integers: an exporter may narrow those, and their values must be equal anyway."""
    return actual == expected or (_is_integer(actual) and _is_integer(expected))


def _is_integer(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool)
