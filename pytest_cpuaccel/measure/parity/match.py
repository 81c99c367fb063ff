"""A match: what comparing one output came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.description import describe
from pytest_cpuaccel.core.equality import equal, is_exact
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.parity import explain
from pytest_cpuaccel.measure.parity.check import Check, checks, limit_hint, top1_check
from pytest_cpuaccel.measure.parity.defaults import REDUCED, TELLING_ELEMENTS, UNSTABLE
from pytest_cpuaccel.measure.parity.elements import Elements
from pytest_cpuaccel.measure.parity.leaves import Pair, holds_tensors
from pytest_cpuaccel.measure.parity.mask import valid_elements
from pytest_cpuaccel.measure.parity.pieces import Pieces, without_repeats
from pytest_cpuaccel.measure.parity.selection import is_selected, tie_of
from pytest_cpuaccel.measure.parity.top1 import Share, top1_share

"""What beats what: one wrong output is wrong however little can be said of the others."""

_INSTEAD = "return them in a tuple, dict, dataclass or ModelOutput instead"


@dataclass(frozen=True)
class Match:
    """``sentence`` names the output, ``compared`` counts elements, ``use`` is the share of the allowance.

    ``limit`` is the difference above which an element counts as off, ``top1`` the share of agreeing positions where
    the tolerance asks for it.
    """

    name: str
    outcome: Outcome
    sentence: str
    compared: int = 0
    masked: int = 0
    use: float = math.inf
    figure: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limit: float = 0.0
    top1: Share | None = None

    @property
    def passed(self) -> bool:
        """Whether it is PASS."""
        return self.outcome is Outcome.PASS


def match_output(
    pair: Pair,
    mask: torch.Tensor | None,
    tolerance: Tolerance,
    precision: Precision,
    pooled: Share | None = None,
    *,
    in_full: bool = True,
) -> Match:
    """Compare one output, under the padding mask (batch, sequence) that goes with it.

    ``pooled`` are the top-1 answers of all calls of a test; None where this call is judged by its own. Without
    ``in_full``, facts of a PASS that its tolerance does not ask for are left out where they cost another pass.
    """
    found = _match(pair, mask, tolerance, precision, pooled, in_full=in_full)
    if found.outcome is not Outcome.FAIL or pair.tied is None or not _may_be_another_choice(pair, pair.tied):
        return found
    settled = replace(pair, actual=torch.where(pair.tied, pair.expected.to(pair.actual.dtype), pair.actual))
    elsewhere = _match(settled, mask, tolerance, precision, pooled, in_full=in_full)
    return found if elsewhere.outcome is Outcome.FAIL else _of_another_choice(pair, pair.tied, found)


def _may_be_another_choice(pair: Pair, tied: torch.Tensor) -> bool:
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


def _of_another_choice(pair: Pair, tied: torch.Tensor, found: Match) -> Match:
    count, where = explain.share(int(tied.sum()), tied.numel()), " and ".join(pair.choosers)
    sentence = (
        f"'{pair.name}' can't be judged: it differs only where eager chose between equal values, in {where}, and "
        f"another choice is as right; {count} hang on that"
    )
    figure = "another choice of equals"
    return replace(found, outcome=Outcome.INCONCLUSIVE, sentence=sentence, figure=figure, evidence=())


def _match(
    pair: Pair,
    mask: torch.Tensor | None,
    tolerance: Tolerance,
    precision: Precision,
    pooled: Share | None,
    *,
    in_full: bool,
) -> Match:
    name, actual, expected = pair.name, pair.actual, pair.expected
    if not isinstance(actual, torch.Tensor) or not isinstance(expected, torch.Tensor):
        return _of_objects(pair, precision)
    if actual.is_nested and not expected.is_nested:
        return _wrong(name, "is a nested tensor, without padding; eager's has it", "wrong type")
    if actual.shape != expected.shape:
        shapes = f"has shape {tuple(actual.shape)}, eager's has {tuple(expected.shape)}"
        return _wrong(name, shapes, "wrong shape")
    if not _same_kind(actual.dtype, expected.dtype):
        return _wrong(name, f"has dtype {actual.dtype}, eager's has {expected.dtype}", "wrong dtype")
    valid = valid_elements(name, expected.shape, mask)
    if not bool(without_repeats(valid).any()):
        why = "all padding" if valid.numel() else f"shape {tuple(expected.shape)}"
        note = f"'{name}' was not compared: it has no element to compare ({why})"
        return Match(name, Outcome.PASS, note, masked=valid.numel(), use=0.0, notes=(note,))
    if expected.is_floating_point() or expected.is_complex():
        return _of_floats(pair, valid, tolerance, precision, pooled, in_full)
    return _of_exact(pair, valid, tolerance, precision)


def _wrong(name: str, statement: str, figure: str) -> Match:
    return Match(name, Outcome.FAIL, f"'{name}' {statement}", figure=figure)


def _of_objects(pair: Pair, precision: Precision) -> Match:
    """None, text and other exact values must be equal; an object with tensors in it is only half compared.

    In a reduced precision nobody can tell how far the numbers were off that a text was made of.
    """
    name, actual, expected = pair.name, pair.actual, pair.expected
    if actual is None and expected is None:
        return Match(name, Outcome.PASS, f"'{name}' is None", use=0.0)
    if type(actual) is not type(expected):
        return _wrong(name, _both(pair), "wrong type")
    kind = type(expected).__name__
    if holds_tensors(expected):
        sentence = f"'{name}' was not compared: a {kind} holds tensors, but its type is not looked into; {_INSTEAD}"
        return Match(name, Outcome.INCONCLUSIVE, sentence, use=0.0, figure="not compared")
    is_equal = equal(actual, expected)
    if is_equal:
        return Match(name, Outcome.PASS, f"'{name}' is equal", compared=1, use=0.0, figure="equal")
    if is_equal is None:
        note = f"'{name}' was not compared: a {kind} is not looked into"
        return Match(name, Outcome.PASS, note, use=0.0, notes=(note,))
    if is_exact(expected) or isinstance(expected, np.ndarray):
        if precision not in REDUCED:
            return _wrong(name, _both(pair), "not equal")
        sentence = f"'{name}' can't be judged: it {_both(pair)}, which rounding to {precision.value} may bring about"
        return Match(name, Outcome.INCONCLUSIVE, sentence, use=0.0, figure="not equal")
    sentence = f"'{name}' can't be judged: it is a {kind} with other values than eager's; {_INSTEAD}"
    return Match(name, Outcome.INCONCLUSIVE, sentence, use=0.0, figure="not equal")


def _both(pair: Pair) -> str:
    return f"is {describe(pair.actual)}, eager's is {describe(pair.expected)}"


def _of_exact(pair: Pair, valid: torch.Tensor, tolerance: Tolerance, precision: Precision) -> Match:
    differs = (pair.actual.to(pair.expected.dtype) != pair.expected) & valid
    wrong, compared = int(differs.sum()), int(valid.sum())
    counts: dict[str, Scalar] = {"different_elements": wrong}
    notes: tuple[str, ...] = ()
    if pair.actual.dtype != pair.expected.dtype:
        notes = (f"'{pair.name}' is {pair.actual.dtype}, eager's {pair.expected.dtype}: values compared",)
    masked = valid.numel() - compared
    if not wrong:
        sentence = f"'{pair.name}' is equal"
        return Match(pair.name, Outcome.PASS, sentence, compared, masked, 0.0, "equal", counts, notes=notes)
    outcome, sentence, more = _of_different(pair, differs, compared, precision)
    if outcome is Outcome.FAIL and tolerance == Tolerance() and not _is_constant_alone(pair, valid):
        unstable = _unstable(pair, valid)
        if wrong <= UNSTABLE * unstable:
            outcome = Outcome.INCONCLUSIVE
            sentence = (
                f"'{pair.name}' can't be judged: it differs at {wrong} of {compared} elements, and eager's own fp32 "
                f"differs from its fp64 at {unstable}"
            )
    if outcome is Outcome.PASS:
        notes = (*notes, sentence)
    evidence = (f"{pair.name}: {explain.share(wrong, compared)} differ", *more)
    use = 1.0 if outcome is Outcome.PASS else math.inf
    figure = f"{wrong} tied" if outcome is Outcome.PASS else f"{wrong} differ"
    return Match(pair.name, outcome, sentence, compared, masked, use, figure, counts, evidence, notes)


def _of_different(
    pair: Pair, differs: torch.Tensor, compared: int, precision: Precision
) -> tuple[Outcome, str, tuple[str, ...]]:
    """What integers that are not eager's are: wrong, or indices of scores that are equal or as good as equal."""
    wrong, place = int(differs.sum()), tuple(differs.nonzero()[0].tolist())
    by_place = torch.where(differs, pair.actual.to(pair.expected.dtype), pair.expected)
    tie = tie_of(by_place, pair.expected, pair.chosen, precision)
    if tie and tie.excess <= 1:
        what = (
            "equal scores"
            if not tie.margin
            else (f"scores that lie {tie.margin:.1e} apart at most, which rounding explains (up to {tie.bound:.1e})")
        )
        sentence = f"'{pair.name}' has another index at {wrong} of {compared} elements, of {what}"
        outcome = Outcome.INCONCLUSIVE if tie.margin and precision in REDUCED else Outcome.PASS
        return outcome, sentence, ()
    found = f"actual {pair.actual[place].item()}, expected {pair.expected[place].item()}"
    sentence = f"'{pair.name}' differs at {list(place)}: {found}; {pair.expected.dtype} must be equal"
    if tie is None:
        return Outcome.FAIL, sentence, ()
    apart = f"eager's scores at the two indices lie {tie.margin:.1e} apart, where rounding explains {tie.bound:.1e}"
    return Outcome.FAIL, sentence, (apart,)


def _unstable(pair: Pair, valid: torch.Tensor) -> int:
    """Elements that come out otherwise when eager itself rounds otherwise."""
    if pair.expected64 is None:
        return 0
    return int(((pair.expected64 != pair.expected) & valid).sum())


def _is_constant_alone(pair: Pair, valid: torch.Tensor) -> bool:
    actual, expected = pair.actual[valid], pair.expected[valid]
    return bool((actual == actual[0]).all()) and not bool((expected == expected[0]).all())


def _of_floats(
    pair: Pair, valid: torch.Tensor, tolerance: Tolerance, precision: Precision, pooled: Share | None, in_full: bool
) -> Match:
    hint = limit_hint(pair, valid, tolerance, precision)
    name, elements = pair.name, Elements.of(pair, valid, hint)
    compared, masked = elements.count, valid.numel() - Pieces((), valid).count
    wrong = elements.wrong if tolerance == Tolerance() else elements.mismatched
    if wrong.first is not None:
        return _of_nonfinite(pair, valid, elements, wrong.count, wrong.first)
    if elements.lost.count and not compared:
        return Match(name, Outcome.INCONCLUSIVE, _lost(pair, elements), figure="eager overflows", masked=masked)
    if elements.unfit == elements.total:
        word = "NaN" if _is_nan(pair.expected, valid) else "NaN or infinite"
        sentence = f"'{name}' leaves nothing to compare: eager itself is {word} in all {elements.total} elements"
        return Match(name, Outcome.INCONCLUSIVE, sentence, masked=masked, figure="eager is NaN")
    made = list(checks(elements, tolerance, precision))
    if any(check.is_close for check in made):
        elements = Elements.of(pair, valid, in_fp64=True)
        made = list(checks(elements, tolerance, precision))
    is_full = in_full or any(check.outcome is not Outcome.PASS for check in made)
    top1 = top1_share(pair.actual, pair.expected, valid) if is_full or tolerance.top1 is not None else None
    if tolerance.top1 is not None and top1 is not None:
        made.append(top1_check(top1, pooled or top1, tolerance.top1))
    if not made:
        note = f"'{name}' was not compared: it has no top-1 answer"
        return Match(name, Outcome.PASS, note, use=0.0, notes=(note,))
    if elements.are_identical:  # which arithmetic of finite precision may deny: 1 - cosine is 1e-16 here
        made = [_of_the_same(check) for check in made]
    worst = max(made, key=lambda check: (check.outcome.severity, check.use))
    facts = _measures(elements, in_full=is_full or worst.outcome is not Outcome.PASS)
    if top1 is not None:
        facts["top1"] = top1.value
    for check in made:
        facts |= check.facts
    outcome, sentence = worst.outcome, f"'{name}' {worst.statement}"
    if outcome is Outcome.PASS and elements.lost.count:
        outcome, sentence = Outcome.INCONCLUSIVE, _lost(pair, elements)
    notes = (f"'{name}': {elements.alike} elements are NaN or infinite in eager too",) if elements.alike else ()
    return Match(
        name,
        outcome,
        sentence,
        compared=compared,
        masked=masked,
        use=worst.use,
        figure=", ".join(check.figure for check in made if check.figure),
        facts=facts,
        evidence=_evidence(name, elements, worst) if worst.outcome is Outcome.FAIL else (),
        notes=notes,
        limit=worst.limit,
        top1=None if tolerance.top1 is None else top1,
    )


def _evidence(name: str, elements: Elements, check: Check) -> tuple[str, ...]:
    return explain.differences(name, elements, check.limit, check.tolerance)


def _is_nan(values: torch.Tensor, valid: torch.Tensor) -> bool:
    return all(
        bool(piece.vectors[0].isnan().all()) for piece in Pieces((values,), valid) if piece.vectors[0] is not None
    )


def _of_the_same(check: Check) -> Check:
    if check.outcome is Outcome.PASS:
        return check
    statement, figure = "equals eager's bit for bit", "equal to the bit"
    return replace(check, outcome=Outcome.PASS, use=1.0, statement=statement, figure=figure)


def _of_nonfinite(pair: Pair, valid: torch.Tensor, elements: Elements, count: int, first: int) -> Match:
    place = elements.index(first)
    sentence = (
        f"'{pair.name}' is {explain.number(_at(pair.actual, place))} at {list(place)}, where eager's is "
        f"{explain.number(_at(pair.expected, place))}; {explain.share(count, elements.total)} so"
    )
    return Match(
        pair.name,
        Outcome.FAIL,
        sentence,
        elements.count,
        valid.numel() - Pieces((), valid).count,
        figure="NaN or Inf",
        facts={"mismatched_nonfinite": count},
        evidence=(explain.nonfinite(pair, valid), *explain.differences(pair.name, elements, 0.0)),
    )


def _lost(pair: Pair, elements: Elements) -> str:
    """That eager's fp32 overflows where more digits would not."""
    place = elements.index(elements.lost.first or 0)
    exact = explain.number(_at(pair.expected64, place)) if pair.expected64 is not None else "finite"
    return (
        f"'{pair.name}' can't be judged: eager's own fp32 is {explain.number(_at(pair.expected, place))} at "
        f"{list(place)}, where its fp64 is {exact} and the backend's answer {explain.number(_at(pair.actual, place))}; "
        f"{explain.share(elements.lost.count, elements.total)} so"
    )


def _same_kind(actual: torch.dtype, expected: torch.dtype) -> bool:
    """Equal, or both integers: an exporter may narrow those, and their values must be equal anyway."""
    return actual == expected or (_is_integer(actual) and _is_integer(expected))


def _is_integer(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool)


def _at(tensor: torch.Tensor, place: tuple[int, ...]) -> float:
    values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return float(values[place])


def _measures(elements: Elements, *, in_full: bool) -> dict[str, Scalar]:
    measures = {
        "max_abs": elements.difference.largest,
        "cosine": elements.cosine,
        "sqnr_db": elements.sqnr_db,
        "smallest_atol": explain.round_up(elements.difference.largest),
    }
    if in_full:
        measures["smallest_rtol"] = explain.round_up(elements.largest_relative)
    return {name: value for name, value in measures.items() if math.isfinite(value)}
