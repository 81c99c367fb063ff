"""A match: what comparing one output came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity import error, explain
from pytest_cpuaccel.measure.parity.check import checks
from pytest_cpuaccel.measure.parity.elements import Elements
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.mask import valid_elements


@dataclass(frozen=True)
class Match:
    """``sentence`` names the output, ``compared`` counts elements, ``use`` is the share of the allowance.

    ``limit`` is the difference above which an element counts as off.
    """

    name: str
    passed: bool
    sentence: str
    compared: int = 0
    masked: int = 0
    use: float = math.inf
    figure: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limit: float = 0.0


def match_output(pair: Pair, mask: torch.Tensor | None, tolerance: Tolerance, precision: Precision) -> Match:
    """Compare one output, under the padding mask (batch, sequence) that goes with it."""
    name, actual, expected = pair.name, pair.actual, pair.expected
    if not isinstance(actual, torch.Tensor) or not isinstance(expected, torch.Tensor):
        return _of_objects(pair)
    if actual.is_nested and not expected.is_nested:
        return _wrong(name, "is a nested tensor, without padding; eager's has it", "wrong type")
    if actual.shape != expected.shape:
        shapes = f"has shape {tuple(actual.shape)}, eager's has {tuple(expected.shape)}"
        return _wrong(name, shapes, "wrong shape")
    if not _same_kind(actual.dtype, expected.dtype):
        return _wrong(name, f"has dtype {actual.dtype}, eager's has {expected.dtype}", "wrong dtype")
    valid = valid_elements(name, expected.shape, mask)
    if not bool(valid.any()):
        why = "all padding" if valid.numel() else f"shape {tuple(expected.shape)}"
        note = f"'{name}' was not compared: it has no element to compare ({why})"
        return Match(name, passed=True, sentence=note, masked=valid.numel(), use=0.0, notes=(note,))
    if expected.is_floating_point() or expected.is_complex():
        return _of_floats(pair, valid, tolerance, precision)
    return _of_exact(pair, valid)


def _wrong(name: str, statement: str, figure: str) -> Match:
    return Match(name, passed=False, sentence=f"'{name}' {statement}", figure=figure)


def _of_objects(pair: Pair) -> Match:
    """None and text must be equal; other objects are not looked into."""
    if pair.actual is None and pair.expected is None:
        return Match(pair.name, passed=True, sentence=f"'{pair.name}' is None", use=0.0)
    if isinstance(pair.expected, (str, bytes)) and pair.actual == pair.expected:
        return Match(pair.name, True, f"'{pair.name}' is equal", compared=1, use=0.0, figure="equal")
    if isinstance(pair.expected, (str, bytes)) or type(pair.actual) is not type(pair.expected):
        shown = f"is {explain.describe(pair.actual)}, eager's is {explain.describe(pair.expected)}"
        return _wrong(pair.name, shown, "wrong type")
    note = f"'{pair.name}' was not compared: a {type(pair.expected).__name__} is not looked into"
    return Match(pair.name, passed=True, sentence=note, use=0.0, notes=(note,))


def _of_exact(pair: Pair, valid: torch.Tensor) -> Match:
    differs = (pair.actual.to(pair.expected.dtype) != pair.expected) & valid
    wrong, compared = int(differs.sum()), int(valid.sum())
    counts: dict[str, Scalar] = {"different_elements": wrong}
    notes: tuple[str, ...] = ()
    if pair.actual.dtype != pair.expected.dtype:
        notes = (f"'{pair.name}' is {pair.actual.dtype}, eager's {pair.expected.dtype}: values compared",)
    masked = valid.numel() - compared
    if not wrong:
        sentence = f"'{pair.name}' is equal"
        return Match(pair.name, True, sentence, compared, masked, 0.0, "equal", counts, notes=notes)
    place = tuple(differs.nonzero()[0].tolist())
    sentence = (
        f"'{pair.name}' differs at {list(place)}: actual {pair.actual[place].item()}, expected "
        f"{pair.expected[place].item()}; {pair.expected.dtype} must be equal"
    )
    evidence = (f"{pair.name}: {explain.share(wrong, compared)} differ",)
    return Match(
        pair.name,
        False,
        sentence,
        compared,
        masked,
        figure=f"{wrong} differ",
        facts=counts,
        evidence=evidence,
    )


def _of_floats(pair: Pair, valid: torch.Tensor, tolerance: Tolerance, precision: Precision) -> Match:
    name, elements = pair.name, Elements.of(pair, valid)
    compared, masked = len(elements.expected), int((~valid).sum())
    if elements.unfit == elements.total:
        word = "NaN" if bool(pair.expected[valid].isnan().all()) else "NaN or infinite"
        sentence = f"'{name}' leaves nothing to compare: eager itself is {word} in all {elements.total} elements"
        return Match(name, passed=False, sentence=sentence, masked=masked, figure="eager is NaN")
    mismatched = int(elements.mismatched.sum())
    if mismatched:
        place = tuple(elements.mismatched.nonzero()[0].tolist())
        sentence = (
            f"'{name}' is {explain.number(_at(pair.actual, place))} at {list(place)}, where eager's is "
            f"{explain.number(_at(pair.expected, place))}; {explain.share(mismatched, elements.total)} so"
        )
        facts: dict[str, Scalar] = {"mismatched_nonfinite": mismatched}
        evidence = (explain.nonfinite(pair, valid), *explain.differences(name, elements, 0.0))
        return Match(name, False, sentence, compared, masked, figure="NaN or Inf", facts=facts, evidence=evidence)
    hits = _top1_hits(pair, valid)
    top1 = None if hits is None else float(hits.double().mean())
    made = tuple(checks(elements, top1, tolerance, precision))
    if not made:
        note = f"'{name}' was not compared: it has no top-1 answer"
        return Match(name, passed=True, sentence=note, use=0.0, notes=(note,))
    worst = max(made, key=lambda check: (not check.passed, check.use))
    facts = _measures(elements)
    if top1 is not None:
        facts["top1"] = top1
    for check in made:
        facts |= check.facts
    notes = (f"'{name}': {elements.alike} elements are NaN or infinite in eager too",) if elements.alike else ()
    return Match(
        name,
        passed=all(check.passed for check in made),
        sentence=f"'{name}' {worst.statement}",
        compared=compared,
        masked=masked,
        use=worst.use,
        figure=", ".join(check.figure for check in made if check.figure),
        facts=facts,
        evidence=() if worst.passed else explain.differences(name, elements, worst.limit),
        notes=notes,
        limit=float(torch.as_tensor(worst.limit).max()),
    )


def _same_kind(actual: torch.dtype, expected: torch.dtype) -> bool:
    """Equal, or both integers: an exporter may narrow those, and their values must be equal anyway."""
    return actual == expected or (_is_integer(actual) and _is_integer(expected))


def _is_integer(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool)


def _at(tensor: torch.Tensor, place: tuple[int, ...]) -> float:
    values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return float(values[place])


def _top1_hits(pair: Pair, valid: torch.Tensor) -> torch.Tensor | None:
    if not pair.expected.is_floating_point() or pair.expected.dim() == 0 or pair.expected.shape[-1] < 2:
        return None
    return error.top1_hits(pair.actual.double().nan_to_num(), pair.expected.double().nan_to_num(), valid)


def _measures(elements: Elements) -> dict[str, Scalar]:
    difference = (elements.actual - elements.expected).abs()
    measures = {
        "max_abs": float(difference.max()),
        "cosine": error.cosine(elements.actual, elements.expected),
        "sqnr_db": error.sqnr_db(elements.actual, elements.expected),
    }
    atol, rtol = explain.smallest_tolerance(elements)
    measures |= {"smallest_atol": atol, "smallest_rtol": rtol}
    return {name: value for name, value in measures.items() if math.isfinite(value)}
