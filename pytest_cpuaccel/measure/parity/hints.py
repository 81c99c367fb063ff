"""Hints: well-known ways of being wrong that the numbers themselves give away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity import error
from pytest_cpuaccel.measure.parity.defaults import INT8_SQNR_DB
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.mask import valid_elements

HINT = "hint: "
"""What the lines begin with."""

OTHER_WEIGHTS = "other weights"
"""What a small error everywhere looks like."""

_ALIKE = 1e-2
"""Relative RMSE below which two tensors are taken to be the same thing."""

_SCALED = 0.05
"""Least relative size of a wrong scale: what training changes is smaller."""

_UNEXPLAINED = 0.1
"""Share of an error that may remain when a wrong scale is taken to be its cause."""

_TINY = 1e-4
"""Relative RMSE below which it is chance in which rows an error that lies in all of them exceeds the limit."""

_NEARLY = 0.97
"""Cosine similarity above which an answer is eager's but for some disturbance; unrelated ones lie near 0."""

_MOST_ROWS = 256
"""Rows compared each with each to find a permutation."""

_FEW = 0.5
"""Share of the positions in which an error says more by where it is than by how large it is."""

_SINGLE = 0.1
"""Share of the columns in which an error is taken to be that of single columns."""

_FLUSHED = "is a denormal number in eager and 0 here: are denormal numbers flushed to zero?"

_TURNED = "lies 2 pi from eager's: is it an angle, which jumps from pi to -pi?"

_COARSER = {torch.bfloat16: "bf16", torch.float16: "fp16"}


def hints(
    failing: Pair, pairs: Sequence[Pair], precision: Precision, limit: float, mask: torch.Tensor | None
) -> Iterator[str]:
    """Yield what a failing output looks like; ``pairs`` are all those of floating-point tensors.

    ``limit`` is the difference above which an element is off, ``mask`` (batch, sequence) is true where no padding is.
    """
    name, actual, expected = failing.name, failing.actual.double(), failing.expected.double()
    if not expected.numel() or not bool(actual.isfinite().all() and expected.isfinite().all()):
        return
    if actual.shape == expected.shape and (cause := _cause(failing, limit, mask)):
        yield f"{HINT}every element of '{name}' that is off {cause}"
        return
    if not bool(actual.any()):
        yield f"{HINT}'{name}' is zero throughout"
        return
    known = [*_exchanges(failing, pairs)]
    if actual.shape == expected.shape:
        valid = valid_elements(name, expected.shape, mask)
        known += [*_rearrangements(name, actual, expected)]
        known += [*_coarseness(name, actual, expected, precision)]
        places = [*_places(name, (actual - expected).abs().gt(limit) & valid, mask)]
        is_tiny = error.relative_rmse(actual.flatten(), expected.flatten()) < _TINY
        known = known or [*places, *(_disturbances(name, actual, expected, precision) if is_tiny or not places else ())]
    yield from known


def proved(evidence: Sequence[str]) -> Iterator[str]:
    """Yield, without what they begin with, the hints at a cause that every element which is off shows."""
    for line in evidence:
        if line.startswith(HINT) and line.endswith((_FLUSHED, _TURNED)):
            yield line.removeprefix(HINT)


def _cause(failing: Pair, limit: float, mask: torch.Tensor | None) -> str | None:
    """What is the same about all elements that are off."""
    actual, expected = failing.actual.double(), failing.expected.double()
    off = (actual - expected).abs().gt(limit) & valid_elements(failing.name, expected.shape, mask)
    got, wanted = actual[off], expected[off]
    if not len(got):
        return None
    if not bool(got.any()) and bool((wanted.abs() < torch.finfo(failing.expected.dtype).tiny).all()):
        return _FLUSHED
    if bool((((got - wanted).abs() - math.tau).abs() < _ALIKE).all()):
        return _TURNED
    return None


def _exchanges(failing: Pair, pairs: Sequence[Pair]) -> Iterator[str]:
    for other in pairs:
        swapped = _alike(failing.actual, other.expected) and not _alike(failing.expected, other.expected)
        if swapped and other.name != failing.name:
            yield f"{HINT}'{failing.name}' is what eager returns as '{other.name}': were outputs swapped?"


def _rearrangements(name: str, actual: torch.Tensor, expected: torch.Tensor) -> Iterator[str]:
    order = _row_order(actual, expected)
    if order:
        yield f"{HINT}the rows of '{name}' are eager's rows {order}: was the batch reordered?"
    if _is_shifted(actual, expected):
        yield f"{HINT}'{name}' equals eager's shifted by one position along dimension 1"


def _coarseness(name: str, actual: torch.Tensor, expected: torch.Tensor, precision: Precision) -> Iterator[str]:
    if precision is not Precision.FP32:
        return
    for dtype, word in _COARSER.items():
        if _holds_only(actual, dtype) and not _holds_only(expected, dtype):
            yield f"{HINT}every element of '{name}' is a {word} number, eager's are not: did the model run in {word}?"


def _places(name: str, off: torch.Tensor, mask: torch.Tensor | None) -> Iterator[str]:
    """Where an output is off that is right elsewhere."""
    if off.dim() < 2:
        return
    rows = _true_places(off.flatten(1).any(1))
    columns = _true_places(off.flatten(0, -2).any(0))
    if mask is not None and len(mask) == len(off):
        padded = _true_places(~mask.all(1))
        if padded == rows != list(range(len(off))):
            yield f"{HINT}only rows with padding are off in '{name}', {_listed(rows)}: is attention_mask ignored?"
            return
    if len(rows) < len(off):
        yield f"{HINT}only {_share(rows, len(off), 'row')} of '{name}' are off"
    if len(columns) <= max(1, _SINGLE * off.shape[-1]) and off.shape[-1] > 1:
        yield (
            f"{HINT}only {_share(columns, off.shape[-1], 'column')} of '{name}' are off: "
            "does the last layer have other weights there?"
        )
    if off.dim() > 2:
        positions = _true_places(off.transpose(0, 1).flatten(1).any(1))
        if len(positions) <= _FEW * off.shape[1]:
            yield f"{HINT}'{name}' is off only at {_share(positions, off.shape[1], 'position')} of dimension 1"


def _disturbances(name: str, actual: torch.Tensor, expected: torch.Tensor, precision: Precision) -> Iterator[str]:
    flat, wanted = actual.flatten(), expected.flatten()
    factor = float(flat @ wanted) / (float(wanted @ wanted) or 1.0)
    unexplained = error.relative_rmse(flat / (factor or 1.0), wanted)
    if abs(factor - 1) > _SCALED and unexplained < _UNEXPLAINED * abs(factor - 1):
        yield f"{HINT}'{name}' is eager's times {factor:.3g}: is a scale missing or applied twice?"
    elif precision is Precision.INT8 and error.sqnr_db(flat, wanted) < INT8_SQNR_DB:
        yield (
            f"{HINT}sound int8 models have {INT8_SQNR_DB:g} dB and more: is a scale wrong, or was it calibrated on "
            "other data?"
        )
    elif error.cosine(flat, wanted) > _NEARLY:
        yield (
            f"{HINT}'{name}' is nearly eager's (cosine {error.cosine(flat, wanted):.6f}): "
            f"{OTHER_WEIGHTS} look like this (a stale export, a weight lost or altered), and so does coarser arithmetic"
        )


def _holds_only(values: torch.Tensor, dtype: torch.dtype) -> bool:
    return torch.equal(values.to(dtype).double(), values)


def _true_places(flags: torch.Tensor) -> list[int]:
    places: list[int] = flags.nonzero()[:, 0].tolist()
    return places


def _share(places: list[int], total: int, word: str) -> str:
    return f"{len(places)} of {total} {word}s ({_listed(places)})"


def _listed(places: list[int]) -> str:
    shown = ", ".join(map(str, places[:5]))
    return f"{shown}, ..." if len(places) > 5 else shown


def _alike(values: torch.Tensor, reference: torch.Tensor) -> bool:
    if values.shape != reference.shape or not reference.numel():
        return False
    return error.relative_rmse(values.double().flatten(), reference.double().flatten()) < _ALIKE


def _row_order(actual: torch.Tensor, expected: torch.Tensor) -> list[int]:
    """The expected row that each actual row is, if the batch is a permutation of itself; else empty."""
    if expected.dim() < 2 or not 2 <= len(expected) <= _MOST_ROWS:
        return []
    rows, wanted = actual.flatten(1), expected.flatten(1)
    order: list[int] = torch.cdist(rows, wanted).argmin(1).tolist()
    moved = sorted(order) == list(range(len(order))) and order != list(range(len(order)))
    return order if moved and _alike(rows, wanted[order]) else []


def _is_shifted(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    if expected.dim() < 2 or expected.shape[1] < 3 or _alike(expected[:, 1:], expected[:, :-1]):
        return False
    return _alike(actual[:, 1:], expected[:, :-1]) or _alike(actual[:, :-1], expected[:, 1:])
