"""What comparing the tokens of ``generate()`` came to.

One flipped near-tie changes every token after it. So where tokens differ, eager's own logits at the first
different token tell a near-tie from an error, and the logits of both models over eager's tokens tell how far
apart they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.measurement.parity import Divergence, FormDifference, GenerationMeasurement, GivenToken
from pytest_cpuaccel.core.parity_summary import ParitySummary, TokenSummary
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.rounding import INT8_CLEAR_TOKENS
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.parity.comparison import MOST_EXPLAINED, Comparison
from pytest_cpuaccel.judge.parity.judged_output import JudgedOutput
from pytest_cpuaccel.judge.parity.output import judge_output
from pytest_cpuaccel.judge.parity.terms import Terms

_MOST = 0.5
"""Share of the tokens below which an answer is another one."""

_TELLING_TOKENS = 2
"""Tokens that differ where rounding does not decide, before they are held against a backend."""


def judge_generation(measured: GenerationMeasurement) -> Comparison:
    """Judge generated tokens, by the defaults of the precision.

    Equal tokens pass, unless the backend's logits over them fail. Different ones pass if each row's first difference
    is a near-tie. Where that is no measure, in all but fp32 and where eager sampled, the backend's logits decide, if
    they are known.
    """
    if measured.problem is not None:
        summary = ParitySummary("wrong tokens", measured.precision, tokens=TokenSummary())
        return Comparison(Outcome.FAIL, _form(measured.problem), summary)
    figure, tokens = f"{measured.agreeing} of {measured.tokens} tokens", _tokens(measured)
    summary = ParitySummary(figure, measured.precision, tokens=tokens)
    if not measured.tokens:
        return Comparison(Outcome.FAIL, "nothing was compared: no token was generated", summary)
    logits = None if measured.logits is None else judge_output(measured.logits, terms_of_logits(measured.precision))
    if not measured.divergences:
        return _agreed(logits, summary)
    return _diverged(measured, logits, summary)


def terms_of_logits(precision: Precision) -> Terms:
    """Return what the logits over eager's tokens are held to."""
    return Terms(ParityBudget(), precision)


def _agreed(logits: JudgedOutput | None, summary: ParitySummary) -> Comparison:
    if logits is None or logits.outcome is not Outcome.FAIL:
        return Comparison(Outcome.PASS, f"{summary.figure} agree", summary)
    sentence = f"{summary.figure} agree, but over them {logits.sentence}"
    return Comparison(Outcome.FAIL, sentence, _with_logits(summary, logits), logits.evidence)


def _diverged(measured: GenerationMeasurement, logits: JudgedOutput | None, summary: ParitySummary) -> Comparison:
    divergences, figure = measured.divergences, summary.figure
    worst = _describe(_worst(divergences))
    evidence = tuple(map(_describe, divergences[:MOST_EXPLAINED]))
    if measured.kl_nats is not None:
        agreement = f"top-1 agreement {measured.forced_agreement:.2%}, top-5 {measured.top5_agreement:.2%}"
        evidence += (f"over eager's own tokens: KL {measured.kl_nats:.2e} nats, {agreement}",)
    is_tie = all(divergence.is_tie for divergence in divergences)
    sampled = measured.is_sampled or any(divergence.margin < 0 for divergence in divergences)
    if logits is not None and (measured.precision is not Precision.FP32 or (sampled and not is_tie)):
        doubt = _doubt(measured)
        outcome = Outcome.worst([logits.outcome, doubt[0]])
        sentence = f"{figure} agree; over eager's own tokens {doubt[1]}{logits.sentence}"
        return Comparison(outcome, sentence, _with_logits(summary, logits), evidence + logits.evidence)
    evidence = tuple(line for line in evidence if line != worst)  # which the sentence says
    if is_tie:
        near = replace(summary, figure=f"{figure} (near-tie)")
        return Comparison(Outcome.PASS, f"{figure} agree; a near-tie: {worst}", near, evidence)
    if measured.is_sampled and logits is None:
        drawn = f"{figure} agree; tokens were drawn, and the backend's logits are not known; {worst}"
        return Comparison(Outcome.INCONCLUSIVE, drawn, summary, evidence)
    return Comparison(Outcome.FAIL, f"{figure} agree; {worst}", summary, evidence)


def _doubt(measured: GenerationMeasurement) -> tuple[Outcome, str]:
    """What the best tokens of an int8 decoder say of it, whose logits may be near eager's in the mean alone."""
    clear, agreement = measured.clear, measured.forced_agreement
    if clear is None or agreement is None:
        return Outcome.PASS, ""
    of_clear = f"{clear.hits} of {clear.positions} that are no near-ties" if clear.positions else "all are near-ties"
    told = f"{agreement:.0%} of the best ones are the same, {of_clear}; "
    telling = (each for each in measured.divergences if each.of_hypotheses or measured.eager_took_best)
    contradicted = sum(map(_contradicts_itself, telling))
    if contradicted:
        rows = f"{contradicted} row{'s' * (contradicted > 1)}"
        outcome = Outcome.FAIL if contradicted >= _TELLING_TOKENS else Outcome.INCONCLUSIVE
        return outcome, f"{told}in {rows} its loop took a token that they are clearly against; "
    if clear.positions and clear.value < INT8_CLEAR_TOKENS:
        is_wrong = clear.value < _MOST and clear.positions - clear.hits >= _TELLING_TOKENS
        return (Outcome.FAIL if is_wrong else Outcome.INCONCLUSIVE), told
    if agreement < _MOST:
        return Outcome.INCONCLUSIVE, f"{told}that says little for the answer; "
    return Outcome.PASS, told


def _contradicts_itself(divergence: Divergence) -> bool:
    """Whether a loop took a token that its own logits, after the same tokens, put clearly below eager's clear one."""
    own, bound = divergence.actual_margin, divergence.bound
    return divergence.margin > bound and own is not None and own < -bound


def _with_logits(summary: ParitySummary, logits: JudgedOutput) -> ParitySummary:
    tokens = summary.tokens
    clear = f", {tokens.clear_agreeing} of {tokens.clear_tokens} clear" if tokens and tokens.clear_tokens else ""
    return replace(summary, figure=f"{summary.figure}{clear}, {logits.figure}", worst=logits.summary)


def _tokens(measured: GenerationMeasurement) -> TokenSummary:
    tokens = TokenSummary(
        tokens=measured.tokens,
        agreeing_tokens=measured.agreeing,
        kl_nats=measured.kl_nats,
        forced_agreement=measured.forced_agreement,
        top5_agreement=measured.top5_agreement,
        clear_tokens=None if measured.clear is None else measured.clear.positions,
        clear_agreeing=None if measured.clear is None else measured.clear.hits,
    )
    if not measured.divergences:
        return tokens
    worst = _worst(measured.divergences)
    return replace(
        tokens,
        first_divergent_position=worst.position,
        first_divergent_row=worst.row,
        expected_token=worst.expected_token,
        actual_token=worst.actual_token,
        margin_bound=worst.bound,
        margin=worst.margin if math.isfinite(worst.margin) else None,
        actual_margin=worst.actual_margin,
    )


def _worst(divergences: tuple[Divergence, ...]) -> Divergence:
    return max(divergences, key=lambda divergence: (not divergence.is_tie, divergence.margin - divergence.bound))


def _describe(divergence: Divergence) -> str:
    """Where it is, both tokens, both margins, and what rounding explains."""
    of_eager, of_backend = _preferences(divergence, _OF_TEXTS if divergence.of_hypotheses else _OF_TOKENS)
    return (
        f"token {divergence.position} of row {divergence.row} is {divergence.actual_token}, eager's is "
        f"{divergence.expected_token}{of_eager}; rounding explains {divergence.bound:.2g}{of_backend}"
    )


class _Words(NamedTuple):
    """How it is said whose choice each side prefers, by which ``{margin}``; ``{token}`` is the backend's."""

    eager_its_own: str
    eager_the_backends: str
    backend_its_own: str
    backend_eagers: str


_OF_TOKENS = _Words(
    ", which eager prefers by {margin:.2g}",
    ", which eager took though it prefers {token} by {margin:.2g}",
    "; the backend prefers its own by {margin:.2g}",
    "; in one call over these tokens the backend prefers eager's too, by {margin:.2g}",
)
_OF_TEXTS = _Words(
    "; eager scores its hypothesis {margin:.2g} above the backend's",
    "; eager scores the backend's hypothesis {margin:.2g} above its own, which its search did not find",
    "; the backend scores its own {margin:.2g} above eager's",
    "; in one call over each the backend scores eager's higher too, by {margin:.2g}",
)


def _preferences(divergence: Divergence, words: _Words) -> tuple[str, str]:
    """What each side's logits say of the two choices, the backend's in one call over the same tokens."""
    margin, own, token = divergence.margin, divergence.actual_margin, divergence.actual_token
    of_eager = words.eager_the_backends if margin < 0 else words.eager_its_own
    of_backend = "" if own is None else words.backend_its_own if own >= 0 else words.backend_eagers
    return of_eager.format(margin=abs(margin), token=token), of_backend.format(margin=abs(own or 0.0))


def _form(problem: FormDifference | GivenToken) -> str:
    if isinstance(problem, GivenToken):
        return (
            f"token {problem.position} of row {problem.row}, given and not generated, is {problem.actual_token}, "
            f"eager's is {problem.expected_token}"
        )
    if problem.what == "shape":
        return f"the tokens have shape {problem.actual}, eager's have {problem.expected}"
    return f"{problem.actual} tokens were returned, by eager {problem.expected}; equal as far as both go"
