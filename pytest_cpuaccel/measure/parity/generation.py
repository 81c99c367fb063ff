"""The comparison of ``generate()``: a backend's tokens with eager's, and what lies behind a difference.

One flipped near-tie changes every token after it. So where tokens differ, eager's own logits at the first
different token tell a near-tie from an error, and the logits of both models over eager's tokens tell how far
apart they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import kl_div, pad

from pytest_cpuaccel.core.backend import Scalar
from pytest_cpuaccel.core.budget import Tolerance
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.measure.parity.comparison import MOST_EXPLAINED, Comparison
from pytest_cpuaccel.measure.parity.leaves import Pair
from pytest_cpuaccel.measure.parity.margin import margin_bound
from pytest_cpuaccel.measure.parity.match import Match, match_output


@dataclass(frozen=True)
class Divergence:
    """The first token of one row that differs.

    ``margin`` is by how much eager's logit of its own token exceeds that of the backend's token (inf where
    the backend had stopped), ``bound`` what rounding can turn round. Where the margin is negative, eager did
    not take its best token: it sampled or searched.
    """

    row: int
    position: int
    expected_token: int
    actual_token: int
    margin: float
    bound: float

    @property
    def is_tie(self) -> bool:
        """Whether rounding alone explains it."""
        return 0 <= self.margin <= self.bound

    def describe(self) -> str:
        """Where it is, both tokens, and both numbers."""
        return (
            f"token {self.position} of row {self.row} is {self.actual_token}, eager's is "
            f"{self.expected_token}, which eager prefers by {self.margin:.2g}; rounding explains {self.bound:.2g}"
        )


@dataclass(frozen=True)
class _Scores:
    """Teacher-forced logits of the generated tokens alone, (batch, generated, vocabulary)."""

    expected: torch.Tensor
    expected64: torch.Tensor | None
    rounding: torch.Tensor | None
    actual: torch.Tensor | None

    def judge(self, precision: Precision) -> Match | None:
        """The backend's logits held to the defaults of the precision."""
        if self.actual is None:
            return None
        pair = Pair("logits", self.actual, self.expected, self.expected64, self.rounding)
        return match_output(pair, None, Tolerance(), precision)

    def distance(self) -> dict[str, Scalar]:
        """Mean KL divergence from eager's next-token distribution in nats, and share of equal best tokens."""
        if self.actual is None or self.actual.shape != self.expected.shape:
            return {}
        of_eager, of_backend = self.expected.double().log_softmax(-1), self.actual.double().log_softmax(-1)
        kl = kl_div(of_backend, of_eager, reduction="none", log_target=True).sum(-1).mean()
        agreement = (self.actual.argmax(-1) == self.expected.argmax(-1)).double().mean()
        return {"kl_nats": float(kl), "forced_agreement": float(agreement)}


def compare_generation(
    actual_ids: Any,
    expected_ids: Any,
    *,
    prompt_length: int,
    expected_logits: torch.Tensor,
    expected64_logits: torch.Tensor | None = None,
    rounding_logits: torch.Tensor | None = None,
    actual_logits: torch.Tensor | None = None,
    logits_too: bool = False,
    precision: Precision,
) -> Comparison:
    """Compare generated token ids (batch, length), bare or the ``sequences`` of an output.

    All logits (batch, length, vocabulary) are teacher-forced: from one forward call over eager's tokens, so
    that ``logits[:, i]`` scores token ``i + 1``. ``rounding_logits`` are eager's in the backend's precision.
    ``prompt_length`` is 0 for an encoder-decoder, whose first token is given, not generated.

    Equal tokens pass; with ``logits_too`` the backend's logits must as well, if they are given: few tokens may come
    out equal though an image was ignored. Different ones pass if each row's first difference is a near-tie. Where
    that is no measure, in all but fp32 and where eager sampled, the backend's logits decide, if they are given.
    """
    actual, expected = _sequences(actual_ids), _sequences(expected_ids)
    problem = _wrong_form(actual, expected, prompt_length)
    if problem:
        return Comparison(Outcome.FAIL, problem, "wrong tokens", {"precision": precision.value})
    start, actual = max(prompt_length, 1), _of_length(actual, expected.shape[1])
    agreeing, total = int((actual == expected)[:, start:].sum()), expected[:, start:].numel()
    figure = f"{agreeing} of {total} tokens"
    facts: dict[str, Scalar] = {
        "precision": precision.value,
        "tokens": total,
        "agreeing_tokens": agreeing,
    }
    if not total:
        return Comparison(Outcome.FAIL, "nothing was compared: no token was generated", figure, facts)
    generated = slice(start - 1, expected.shape[1] - 1)
    scores = _Scores(
        expected=expected_logits.detach()[:, generated],
        expected64=None if expected64_logits is None else expected64_logits.detach()[:, generated],
        rounding=None if rounding_logits is None else rounding_logits.detach()[:, generated],
        actual=None if actual_logits is None else actual_logits.detach()[:, generated],
    )
    facts |= scores.distance()
    if agreeing == total:
        logits = scores.judge(precision) if logits_too else None
        return _agreed(logits, figure, facts)
    divergences = _divergences(actual, expected, scores, start, precision)
    return _conclude(divergences, scores.judge(precision), figure, facts, precision)


def _agreed(logits: Match | None, figure: str, facts: dict[str, Scalar]) -> Comparison:
    if logits is None or logits.outcome is not Outcome.FAIL:
        return Comparison(Outcome.PASS, f"{figure} agree", figure, facts)
    sentence = f"{figure} agree, but over them {logits.sentence}"
    return Comparison(Outcome.FAIL, sentence, f"{figure}, {logits.figure}", {**facts, **logits.facts}, logits.evidence)


def _conclude(
    divergences: Sequence[Divergence],
    logits: Match | None,
    figure: str,
    facts: dict[str, Scalar],
    precision: Precision,
) -> Comparison:
    worst = max(divergences, key=lambda divergence: (not divergence.is_tie, divergence.margin - divergence.bound))
    facts |= {
        "first_divergent_position": worst.position,
        "first_divergent_row": worst.row,
        "expected_token": worst.expected_token,
        "actual_token": worst.actual_token,
        "margin_bound": worst.bound,
    }
    if math.isfinite(worst.margin):
        facts["margin"] = worst.margin
    evidence = tuple(divergence.describe() for divergence in divergences[:MOST_EXPLAINED])
    if "kl_nats" in facts:
        evidence += (
            f"over eager's own tokens: KL {facts['kl_nats']:.2e} nats, top-1 agreement {facts['forced_agreement']:.2%}",
        )
    is_tie = all(divergence.is_tie for divergence in divergences)
    sampled = any(divergence.margin < 0 for divergence in divergences)
    if logits is not None and (precision is not Precision.FP32 or (sampled and not is_tie)):
        sentence = f"{figure} agree; over eager's own tokens {logits.sentence}"
        return Comparison(
            logits.outcome,
            sentence,
            f"{figure}, {logits.figure}",
            {**facts, **logits.facts},
            evidence + logits.evidence,
        )
    if is_tie:
        return Comparison(
            Outcome.PASS,
            f"{figure} agree; a near-tie: {worst.describe()}",
            f"{figure} (near-tie)",
            facts,
            evidence,
        )
    return Comparison(Outcome.FAIL, f"{figure} agree; {worst.describe()}", figure, facts, evidence)


def _divergences(
    actual: torch.Tensor,
    expected: torch.Tensor,
    scores: _Scores,
    start: int,
    precision: Precision,
) -> list[Divergence]:
    exact = scores.expected if scores.expected64 is None else scores.expected64
    found = []
    for row in (actual != expected).any(1).nonzero().flatten().tolist():
        position = int((actual[row] != expected[row]).nonzero()[0])
        wanted, got = int(expected[row, position]), int(actual[row, position])
        logits = scores.expected[row, position - start].double()
        bound = margin_bound(logits, exact[row, position - start], precision)
        margin = float(logits[wanted] - logits[got]) if got >= 0 else math.inf
        found.append(Divergence(row, position, wanted, got, margin, bound))
    return found


def _wrong_form(actual: torch.Tensor, expected: torch.Tensor, prompt_length: int) -> str | None:
    if actual.dim() != 2 or len(actual) != len(expected):
        return f"the tokens have shape {tuple(actual.shape)}, eager's have {tuple(expected.shape)}"
    start = max(prompt_length, 1)
    shared = min(actual.shape[1], expected.shape[1])
    differs = actual[:, :shared] != expected[:, :shared]
    if bool(differs[:, :start].any()):
        row, position = differs[:, :start].nonzero()[0].tolist()
        return (
            f"token {position} of row {row}, given and not generated, is {int(actual[row, position])}, "
            f"eager's is {int(expected[row, position])}"
        )
    if actual.shape[1] != expected.shape[1] and not bool(differs.any()):
        return f"{actual.shape[1]} tokens were returned, by eager {expected.shape[1]}; equal as far as both go"
    return None


def _sequences(output: Any) -> torch.Tensor:
    ids: torch.Tensor = output if isinstance(output, torch.Tensor) else output.sequences
    return ids.detach().cpu()


def _of_length(ids: torch.Tensor, length: int) -> torch.Tensor:
    """Cut ids, or fill them up with -1, which is no token."""
    return pad(ids[:, :length], (0, max(length - ids.shape[1], 0)), value=-1)
