"""Hints: well-known ways of being wrong that the numbers themselves give away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.defaults import INT8_SQNR_DB
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.likeness import Likeness, alike, in_fp64, peak
from pytest_cpuaccel.measure.parity.mask import valid_elements
from pytest_cpuaccel.measure.parity.order import row_order
from pytest_cpuaccel.measure.parity.pieces import PIECE
from pytest_cpuaccel.measure.parity.places import COLUMNS, POSITIONS, ROWS, places_off

HINT = "hint: "
"""What the lines begin with."""

OTHER_WEIGHTS = "other weights"
"""What a small error everywhere looks like."""

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

_FLUSHED = "is a denormal number in eager and 0 here: are denormal numbers flushed to zero?"

_TURN = 1e-3
"""How far from a whole turn a difference may lie."""

_TURNED = "lies 2 pi from eager's: is it an angle, which jumps from pi to -pi?"

_COARSER = {torch.bfloat16: "bf16", torch.float16: "fp16"}


def hints(
    failing: Pair, pairs: Sequence[Pair], precision: Precision, limit: float, mask: torch.Tensor | None
) -> Iterator[str]:
    """Yield what a failing output looks like; ``pairs`` are all those of floating-point tensors.

    ``limit`` is the difference above which an element is off, ``mask`` (batch, sequence) is true where no padding is.
    Each holds for the whole output.
    """
    name, actual, expected = failing.name, failing.actual, failing.expected
    largest = peak(actual)
    if not expected.numel() or not math.isfinite(largest) or not math.isfinite(peak(expected)):
        return
    if actual.shape == expected.shape and (cause := _cause(failing, limit, mask)):
        yield f"{HINT}every element of '{name}' that is off {cause}"
        return
    if largest == 0:
        yield f"{HINT}'{name}' is zero throughout"
        return
    known = [*_exchanges(failing, pairs)]
    if actual.shape == expected.shape:
        likeness = Likeness.of(actual, expected)
        known += [*_rearrangements(failing, likeness), *_coarseness(failing, precision)]
        known = known or [*_disturbances(failing, likeness, precision, limit, mask)]
    yield from known


def proved(evidence: Sequence[str]) -> Iterator[str]:
    """Yield, without what they begin with, the hints at a cause that every element which is off shows."""
    for line in evidence:
        if line.startswith(HINT) and line.endswith((_FLUSHED, _TURNED)):
            yield line.removeprefix(HINT)


def _cause(failing: Pair, limit: float, mask: torch.Tensor | None) -> str | None:
    """What is the same about all elements that are off; looked at piece by piece, until one shows neither."""
    tiny, found = torch.finfo(failing.expected.dtype).tiny, {_FLUSHED, _TURNED}
    is_any_off = False
    valid = valid_elements(failing.name, failing.expected.shape, mask)
    sides = (failing.actual, failing.expected, valid.expand(failing.expected.shape))
    for got, wanted, counts in zip(*(side.reshape(-1).split(PIECE) for side in sides), strict=True):
        got, wanted = got.double(), wanted.double()
        off = (got - wanted).abs().gt(limit) & counts
        got, wanted = got[off], wanted[off]
        is_any_off |= len(got) > 0
        if bool(got.any()) or bool((wanted.abs() >= tiny).any()):
            found.discard(_FLUSHED)
        if bool((((got - wanted).abs() - math.tau).abs() >= _TURN).any()):
            found.discard(_TURNED)
        if not found:
            return None
    return min(found) if is_any_off else None


def _exchanges(failing: Pair, pairs: Sequence[Pair]) -> Iterator[str]:
    for other in pairs:
        if other.name == failing.name:
            continue
        if alike(failing.actual, other.expected) and not alike(failing.expected, other.expected):
            yield f"{HINT}'{failing.name}' is what eager returns as '{other.name}': were outputs swapped?"


def _rearrangements(failing: Pair, likeness: Likeness) -> Iterator[str]:
    order = row_order(failing.actual, failing.expected, likeness.reference)
    if order:
        yield f"{HINT}the rows of '{failing.name}' are eager's rows {order}: was the batch reordered?"
    if _is_shifted(failing.actual, failing.expected):
        yield f"{HINT}'{failing.name}' equals eager's shifted by one position along dimension 1"


def _is_shifted(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    if expected.dim() < 2 or expected.shape[1] < 3:
        return False
    first, last = expected[:, :-1], expected[:, 1:]
    return (alike(actual[:, 1:], first) or alike(actual[:, :-1], last)) and not alike(last, first)


def _coarseness(failing: Pair, precision: Precision) -> Iterator[str]:
    if precision is not Precision.FP32:
        return
    for dtype, word in _COARSER.items():
        if _holds_only(failing.actual, dtype) and not _holds_only(failing.expected, dtype):
            yield (
                f"{HINT}every element of '{failing.name}' is a {word} number, eager's are not: "
                f"did the model run in {word}?"
            )


def _holds_only(values: torch.Tensor, dtype: torch.dtype) -> bool:
    return all(torch.equal(vector.to(dtype).double(), vector) for (vector,) in in_fp64(values))


def _disturbances(
    failing: Pair, likeness: Likeness, precision: Precision, limit: float, mask: torch.Tensor | None
) -> Iterator[str]:
    """Where an output is off, and in what way, unless where says all."""
    places = [*_places(failing, limit, mask)]
    yield from places
    if not places or likeness.relative_rmse < _TINY:
        yield from _changes(failing.name, likeness, precision)


def _places(failing: Pair, limit: float, mask: torch.Tensor | None) -> Iterator[str]:
    """Where an output is off that is right elsewhere."""
    name, shape = failing.name, failing.expected.shape
    if len(shape) < 2:
        return
    off = places_off(failing.actual, failing.expected, valid_elements(name, shape, mask), limit)
    rows, columns, positions = off[ROWS], off[COLUMNS], off[POSITIONS]
    if mask is not None and len(mask) == shape[0]:
        padded = (~mask.all(1)).nonzero()[:, 0].tolist()
        if padded == rows != list(range(shape[0])):
            yield f"{HINT}only rows with padding are off in '{name}', {_listed(rows)}: is attention_mask ignored?"
            return
    if len(rows) < shape[0]:
        yield f"{HINT}only {_share(rows, shape[0], 'row')} of '{name}' are off"
    if len(columns) <= max(1, _SINGLE * shape[-1]) and shape[-1] > 1:
        yield (
            f"{HINT}only {_share(columns, shape[-1], 'column')} of '{name}' are off: "
            "does the last layer have other weights there?"
        )
    if len(shape) > 2 and len(positions) <= _FEW * shape[1]:
        yield f"{HINT}'{name}' is off only at {_share(positions, shape[1], 'position')} of dimension 1"


def _changes(name: str, likeness: Likeness, precision: Precision) -> Iterator[str]:
    """What may have been done to an output as a whole."""
    wrong = abs(likeness.factor - 1)
    if wrong > _SCALED and likeness.beyond_factor < _UNEXPLAINED * wrong:
        yield f"{HINT}'{name}' is eager's times {likeness.factor:.3g}: is a scale missing or applied twice?"
    elif precision is Precision.INT8 and likeness.sqnr_db < INT8_SQNR_DB:
        yield (
            f"{HINT}sound int8 models have {INT8_SQNR_DB:g} dB and more: is a scale wrong, or was it calibrated on "
            "other data?"
        )
    elif likeness.cosine > _NEARLY:
        yield (
            f"{HINT}'{name}' is nearly eager's (cosine {likeness.cosine:.6f}): "
            f"{OTHER_WEIGHTS} look like this (a stale export, a weight lost or altered), and so does coarser arithmetic"
        )


def _share(places: list[int], total: int, word: str) -> str:
    return f"{len(places)} of {total} {word}s ({_listed(places)})"


def _listed(places: list[int]) -> str:
    shown = ", ".join(map(str, places[:5]))
    return f"{shown}, ..." if len(places) > 5 else shown
