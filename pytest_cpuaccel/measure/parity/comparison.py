"""The comparison of one call: all its outputs under a backend with those under eager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import torch

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import ParityBudget, Tolerance
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.pattern import closest
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.parity.defaults import REDUCED, TELLING_ELEMENTS
from pytest_cpuaccel.measure.parity.hints import HINT, OTHER_WEIGHTS, hints
from pytest_cpuaccel.measure.parity.leaves import Pair, Pairing, float_pairs, matches, pair_leaves, select
from pytest_cpuaccel.measure.parity.mask import mask_for
from pytest_cpuaccel.measure.parity.match import Match, match_output
from pytest_cpuaccel.measure.parity.pieces import Pieces
from pytest_cpuaccel.measure.parity.reordered import Reordered
from pytest_cpuaccel.measure.parity.selection import Selection
from pytest_cpuaccel.measure.parity.ties import Ties
from pytest_cpuaccel.measure.parity.top1 import Share

MOST_EXPLAINED = 5
"""Failing outputs shown in full; a wrong model returns dozens of wrong hidden states."""


@dataclass(frozen=True)
class References:
    """What eager gives for the inputs of a call: bare outputs, or :class:`Answer` values.

    ``expected`` is eager in fp32; ``expected64`` eager in fp64, None where that can't run; ``rounding``
    eager in the backend's own precision, whatever its type: for fp32 the same as ``expected``, None where that
    can't run. ``reordered`` is eager in fp32 with running sums, None where it has no long sum. ``selections`` are what
    it chose indices from. ``state`` names what the call changes in
    the model; the answers then hold for a first call alone. ``touched`` also names what only a first call changes.
    ``unproven`` are random generators that it draws from, though none of its answers was seen to hang on that,
    ``ties`` is where they hang on choices between equal scores.
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


@dataclass(frozen=True)
class Comparison:
    """``sentence`` says what was found and what was allowed, ``figure`` the same in few words for a table.

    ``top1`` are the shares of agreeing positions by output, where the budget asks for them.
    """

    outcome: Outcome
    sentence: str
    figure: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    top1: Mapping[str, Share] = field(default_factory=dict)

    @property
    def compared_nothing(self) -> bool:
        """Whether no output had an element to compare, and none was wrong."""
        return self.outcome is Outcome.INCONCLUSIVE and self.facts.get("compared_elements") == 0


def compare(
    actual: Any,
    references: References,
    *,
    inputs: Inputs,
    precision: Precision,
    budget: ParityBudget,
    pooled: Mapping[str, Share] | None = None,
    in_full: bool = True,
) -> Comparison:
    """Compare what a backend returned for ``inputs`` with what eager returns.

    INCONCLUSIVE where eager's own rounding is too large to judge by, where tensors lie in objects of unknown types,
    and where there is nothing to compare; a wrong output makes it FAIL all the same. ``pooled`` are the top-1 answers
    of all calls of a test by output. ``in_full`` as in :func:`match_output`.

    Raises:
        UsageError: the budget names an output or a mask that the call does not have.
    """
    rounding = None if precision is Precision.FP32 else references.rounding  # fp32 eager is the rounded one
    pairing = pair_leaves(actual, references.expected, references.expected64, rounding, references.reordered)
    pairing = replace(pairing, pairs=tuple(_with_choices(pair, references) for pair in pairing.pairs))
    _check_names(pairing, budget)
    if budget.only:
        pairing = select(pairing, budget.only)
    names = (*(pair.name for pair in pairing.pairs), *pairing.missing)
    masks = {pair.name: mask_for(pair.name, inputs, budget.mask, names) for pair in pairing.pairs}
    whole = pooled or {}

    def match(pair: Pair) -> Match:
        tolerance = _tolerance_for(pair.name, budget)
        return match_output(pair, masks[pair.name], tolerance, precision, whole.get(pair.name), in_full=in_full)

    compared_outputs = [*_strays(pairing), *map(match, pairing.pairs)]
    if budget == ParityBudget(mask=budget.mask) and all(match.passed for match in compared_outputs):
        compared_outputs += _pretended(pairing, precision)
    return _conclude(compared_outputs, pairing, masks, precision)


def _with_choices(pair: Pair, references: References) -> Pair:
    ties = references.ties or Ties({}, ())
    return replace(pair, chosen=references.selections, tied=ties.hanging.get(pair.name), choosers=ties.operators)


def _pretended(pairing: Pairing, precision: Precision) -> Iterator[Match]:
    """An answer that no arithmetic of this precision gives: eager's own, bit for bit."""
    if precision not in REDUCED:
        return
    pairs = [pair for pair in float_pairs(pairing) if pair.expected.dtype is torch.float32]
    if not all(torch.equal(pair.actual, pair.expected) for pair in pairs):
        return
    telling = sum(map(_finer_than_bf16, pairs))
    if telling >= TELLING_ELEMENTS:
        sentence = (
            f"every output is eager's fp32 answer bit for bit, 0 of {telling} elements rounded otherwise: "
            f"nothing ran in {precision.value}"
        )
        yield Match("", Outcome.FAIL, sentence, figure=f"fp32, not {precision.value}")


def _finer_than_bf16(pair: Pair) -> int:
    """How many of eager's elements bf16 can't hold."""
    everything = torch.tensor(True).expand(pair.expected.shape)
    vectors = (piece.vectors[0] for piece in Pieces((pair.expected,), everything))
    return sum(int((vector.bfloat16() != vector).sum()) for vector in vectors if vector is not None)


def _conclude(
    compared_outputs: Sequence[Match],
    pairing: Pairing,
    masks: Mapping[str, torch.Tensor | None],
    precision: Precision,
) -> Comparison:
    notes = (*pairing.notes, *(note for match in compared_outputs for note in match.notes))
    failing = [match for match in compared_outputs if match.outcome is Outcome.FAIL]
    undecided = [match for match in compared_outputs if match.outcome is Outcome.INCONCLUSIVE]
    compared = [match for match in compared_outputs if match.compared]
    if not failing and not undecided and not compared:
        sentence = f"nothing was compared: no output has an element to compare{_emptiness(compared_outputs)}"
        return Comparison(Outcome.INCONCLUSIVE, sentence, "nothing compared", {"compared_elements": 0}, notes)
    worst = max(failing or undecided or compared, key=lambda match: (match.use, bool(match.facts)))
    facts: dict[str, Scalar] = {
        "output": worst.name,
        "outputs": len(compared_outputs),
        "failing_outputs": len(failing),
        "compared_elements": sum(match.compared for match in compared_outputs),
        "masked_elements": sum(match.masked for match in compared_outputs),
        "precision": precision.value,
    }
    number, counted = (len(failing), "failing outputs") if failing else (len(compared), "outputs")
    number = 1 if undecided and not failing else number
    of_several = f" (worst of {number} {counted})" if number > 1 else ""
    others = (match.sentence for match in undecided if match is not worst)
    evidence = (*_evidence(failing, pairing, masks, precision), *others, *notes)
    top1 = {match.name: match.top1 for match in compared_outputs if match.top1}
    facts |= worst.facts
    return Comparison(worst.outcome, f"{worst.sentence}{of_several}", worst.figure, facts, evidence, top1)


def _emptiness(matches: Sequence[Match]) -> str:
    """Said of outputs that are empty under eager as well."""
    return next((f" ({match.sentence})" for match in matches if match.sentence), "")


def _evidence(
    failing: list[Match], pairing: Pairing, masks: Mapping[str, torch.Tensor | None], precision: Precision
) -> Iterator[str]:
    pairs = tuple(float_pairs(pairing))
    by_name = {pair.name: pair for pair in pairs}
    worst_first = sorted(failing, key=lambda match: -match.use)
    for match in worst_first[:MOST_EXPLAINED]:
        yield from match.evidence or (match.sentence,)
    left_out = len(failing) - MOST_EXPLAINED
    if left_out > 0:
        yield f"and {left_out} more failing outputs"
    for match in worst_first:
        pair = by_name.get(match.name)
        known = [*hints(pair, pairs, precision, match.limit, masks[match.name])] if pair else []
        known = [_long_sum(pair) if OTHER_WEIGHTS in line and pair and pair.longest else line for line in known]
        if known:  # one output gives the cause away, the others would repeat it
            yield from known
            return


def _long_sum(pair: Pair) -> str:
    return (
        f"{HINT}'{pair.name}' is nearly eager's, off by more than any order of fp32 additions explains, and stands "
        f"behind a sum over {pair.longest} elements: is that summed in lower precision?"
    )


def _strays(pairing: Pairing) -> Iterator[Match]:
    """Outputs that only one side has."""
    of_eager = ", ".join(f"'{name}'" for name in (*(pair.name for pair in pairing.pairs), *pairing.missing))
    for name in pairing.missing:
        returned = ", ".join(f"'{other}'" for other in (*(pair.name for pair in pairing.pairs), *pairing.extra))
        sentence = f"output '{name}' is missing; the backend returned {returned or 'none'}"
        yield Match(name, Outcome.FAIL, sentence, figure="missing output")
    for name in pairing.extra:
        sentence = f"output '{name}' is extra; eager returned {of_eager or 'none'}"
        yield Match(name, Outcome.FAIL, sentence, figure="extra output")


def _tolerance_for(name: str, budget: ParityBudget) -> Tolerance:
    """The output's own tolerance, by the pattern that fits its name most closely, else the mark's."""
    try:
        own = closest(name, budget.outputs, matches)
    except UsageError as mistake:
        raise UsageError(f"parity(outputs=): {mistake}") from None
    return budget.tolerance if own is None else own


def _check_names(pairing: Pairing, budget: ParityBudget) -> None:
    names = [*(pair.name for pair in pairing.pairs), *pairing.missing, *pairing.extra]
    for pattern in (*budget.outputs, *budget.only):
        if not any(matches(name, pattern) for name in names):
            close = get_close_matches(pattern, names, 1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"parity: no output is named {pattern!r}; {meant}outputs: {', '.join(names) or 'none'}")
