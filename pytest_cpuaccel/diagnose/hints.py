"""Hints: well-known ways of being wrong that the numbers themselves give away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from pytest_cpuaccel.core.diagnosis import Diagnosis
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import INT8_SQNR_DB
from pytest_cpuaccel.diagnose.causes import cause_of
from pytest_cpuaccel.diagnose.failing_output import FailingOutput
from pytest_cpuaccel.diagnose.likeness import Likeness, alike, in_fp64, peak
from pytest_cpuaccel.diagnose.places import COLUMNS, POSITIONS, ROWS, places_off
from pytest_cpuaccel.diagnose.row_order import row_order
from pytest_cpuaccel.measure.parity.leaves import OutputPair, float_pairs
from pytest_cpuaccel.measure.parity.mask import valid_elements
from pytest_cpuaccel.measure.parity.outputs import Outputs

_SCALED = 0.05
"""Least relative size of a wrong scale: what training changes is smaller."""

_UNEXPLAINED = 0.1
"""Share of an error that may remain when a wrong scale is taken to be its cause."""

_TINY = 1e-4
"""Relative RMSE below which it is chance in which rows an error that lies in all of them exceeds the limit."""

_NEARLY = 0.97
"""Cosine similarity above which an answer is eager's but for some disturbance; unrelated ones lie near 0."""

_FEW = 0.5
"""Share of the positions in which an error says more by where it is than by how large it is."""

_SINGLE = 0.1
"""Share of the columns in which an error is taken to be that of single columns."""

_COARSER = {torch.bfloat16: "bf16", torch.float16: "fp16"}


def hints(outputs: Outputs, failing: Mapping[str, float]) -> tuple[Diagnosis, ...]:
    """Return what the first output looks like that looks like anything; the others would repeat it.

    ``failing`` are the names of the failing outputs, the worst first, each with the difference above which an element
    of it is off.
    """
    pairs = {pair.name: pair for pair in float_pairs(outputs.pairing)}
    for name, limit in failing.items():
        if name in pairs:
            output = FailingOutput(pairs[name], limit, outputs.masks[name], outputs.precision)
            found = tuple(_hints(output, tuple(pairs.values())))
            if found:
                return found
    return ()


def _hints(failing: FailingOutput, pairs: tuple[OutputPair, ...]) -> Iterator[Diagnosis]:
    """Each holds for the whole output; ``pairs`` are all those of floating-point tensors."""
    name, actual, expected = failing.pair.name, failing.pair.actual, failing.pair.expected
    if not expected.numel():
        return
    likeness = Likeness.of(actual, expected) if actual.shape == expected.shape else None
    is_plain = likeness is not None and likeness.is_plain
    if not is_plain and not (math.isfinite(peak(actual)) and math.isfinite(peak(expected))):
        return
    if cause := cause_of(failing):
        yield cause
        return
    if not is_plain and peak(actual) == 0:
        yield Diagnosis("hint", f"'{name}' is zero throughout", name)
        return
    known = [*_exchanges(failing.pair, pairs)]
    if likeness is not None:
        known += [*_rearrangements(failing.pair, likeness), *_coarseness(failing)]
        known = known or [*_disturbances(failing, likeness)]
    yield from known


def _exchanges(failing: OutputPair, pairs: tuple[OutputPair, ...]) -> Iterator[Diagnosis]:
    for other in pairs:
        if other.name == failing.name:
            continue
        if alike(failing.actual, other.expected) and not alike(failing.expected, other.expected):
            sentence = f"'{failing.name}' is what eager returns as '{other.name}': were outputs swapped?"
            yield Diagnosis("hint", sentence, failing.name)


def _rearrangements(failing: OutputPair, likeness: Likeness) -> Iterator[Diagnosis]:
    order = row_order(failing.actual, failing.expected, likeness.reference)
    if order:
        sentence = f"the rows of '{failing.name}' are eager's rows {order}: was the batch reordered?"
        yield Diagnosis("hint", sentence, failing.name)
    if _is_shifted(failing.actual, failing.expected, likeness.reference):
        sentence = f"'{failing.name}' equals eager's shifted by one position along dimension 1"
        yield Diagnosis("hint", sentence, failing.name)


def _is_shifted(actual: torch.Tensor, expected: torch.Tensor, squares: float) -> bool:
    if expected.dim() < 2 or expected.shape[1] < 3:
        return False
    first, last = expected[:, :-1], expected[:, 1:]
    is_moved = alike(actual[:, 1:], first, squares) or alike(actual[:, :-1], last, squares)
    return is_moved and not alike(last, first)


def _coarseness(failing: FailingOutput) -> Iterator[Diagnosis]:
    if failing.precision is not Precision.FP32:
        return
    pair = failing.pair
    for dtype, word in _COARSER.items():
        if _holds_only(pair.actual, dtype) and not _holds_only(pair.expected, dtype):
            number = f"every element of '{pair.name}' is a {word} number, eager's are not"
            yield Diagnosis("hint", f"{number}: did the model run in {word}?", pair.name)


def _holds_only(values: torch.Tensor, dtype: torch.dtype) -> bool:
    return all(torch.equal(vector.to(dtype).double(), vector) for (vector,) in in_fp64(values))


def _disturbances(failing: FailingOutput, likeness: Likeness) -> Iterator[Diagnosis]:
    """Where an output is off, and in what way, unless where says all."""
    places = [Diagnosis("hint", sentence, failing.pair.name) for sentence in _places(failing)]
    yield from places
    if not places or likeness.relative_rmse < _TINY:
        yield from _changes(failing, likeness)


def _places(failing: FailingOutput) -> Iterator[str]:
    """Where an output is off that is right elsewhere."""
    name, shape, mask = failing.pair.name, failing.pair.expected.shape, failing.mask
    if len(shape) < 2:
        return
    off = places_off(failing.pair.actual, failing.pair.expected, valid_elements(name, shape, mask), failing.limit)
    rows, columns, positions = off[ROWS], off[COLUMNS], off[POSITIONS]
    if mask is not None and len(mask) == shape[0]:
        padded = (~mask.all(1)).nonzero()[:, 0].tolist()
        if padded == rows != list(range(shape[0])):
            yield f"only rows with padding are off in '{name}', {_listed(rows)}: is attention_mask ignored?"
            return
    if len(rows) < shape[0]:
        yield f"only {_share(rows, shape[0], 'row')} of '{name}' are off"
    if len(columns) <= max(1, _SINGLE * shape[-1]) and shape[-1] > 1:
        of_columns = f"only {_share(columns, shape[-1], 'column')} of '{name}' are off"
        yield f"{of_columns}: does the last layer have other weights there?"
    if len(shape) > 2 and len(positions) <= _FEW * shape[1]:
        yield f"'{name}' is off only at {_share(positions, shape[1], 'position')} of dimension 1"


def _changes(failing: FailingOutput, likeness: Likeness) -> Iterator[Diagnosis]:
    """What may have been done to an output as a whole."""
    name, longest = failing.pair.name, failing.pair.longest
    wrong = abs(likeness.factor - 1)
    if wrong > _SCALED and likeness.beyond_factor < _UNEXPLAINED * wrong:
        sentence = f"'{name}' is eager's times {likeness.factor:.3g}: is a scale missing or applied twice?"
        yield Diagnosis("hint", sentence, name, figures={"factor": likeness.factor})
    elif failing.precision is Precision.INT8 and likeness.sqnr_db < INT8_SQNR_DB:
        least = f"sound int8 models have {INT8_SQNR_DB:g} dB and more"
        sentence = f"{least}: is a scale wrong, or was it calibrated on other data?"
        yield Diagnosis("hint", sentence, name, figures={"sqnr_db": likeness.sqnr_db})
    elif likeness.cosine > _NEARLY and longest:
        sentence = (
            f"'{name}' is nearly eager's, off by more than any order of fp32 additions explains, and stands "
            f"behind a sum over {longest} elements: is that summed in lower precision?"
        )
        yield Diagnosis("hint", sentence, name, figures={"cosine": likeness.cosine, "longest_sum": longest})
    elif likeness.cosine > _NEARLY:
        sentence = (
            f"'{name}' is nearly eager's (cosine {likeness.cosine:.6f}): "
            "other weights look like this (a stale export, a weight lost or altered), and so does coarser arithmetic"
        )
        yield Diagnosis("hint", sentence, name, figures={"cosine": likeness.cosine})


def _share(places: list[int], total: int, word: str) -> str:
    return f"{len(places)} of {total} {word}s ({_listed(places)})"


def _listed(places: list[int]) -> str:
    shown = ", ".join(map(str, places[:5]))
    return f"{shown}, ..." if len(places) > 5 else shown
