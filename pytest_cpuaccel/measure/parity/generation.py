"""What ``generate()`` returned beside eager's tokens, and how far apart the logits behind them are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import pad

from pytest_cpuaccel.core.measurement.parity import Divergence, FormDifference, GenerationMeasurement, GivenToken
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.forced_logits import ForcedLogits
from pytest_cpuaccel.measure.parity.hypotheses import Preference
from pytest_cpuaccel.measure.parity.leaves import OutputPair
from pytest_cpuaccel.measure.parity.output import Ask, Output, measured
from pytest_cpuaccel.measure.parity.text_end import within_text


@dataclass(frozen=True)
class Generation:
    """Generated token ids (batch, length), bare or the ``sequences`` of an output, with the logits over eager's.

    ``prompt_length`` is 0 for an encoder-decoder, whose first token is given, not generated. ``logits_too`` has the
    logits measured where all tokens agree as well: few tokens may come out equal though an image was ignored.
    ``preferences`` are those of each row between the two hypotheses of a beam search; None of any other.
    ``is_sampled`` tells whether tokens were drawn. ``ends`` are the tokens that end a text: what logits say of the
    padding after it does not count. ``chosen_by`` is what eager's loop made of its logits before it chose, for
    the same places, NaN where it left them as they were; None where that is not known.
    """

    actual: Any
    expected: Any
    prompt_length: int
    logits: ForcedLogits
    precision: Precision
    logits_too: bool = False
    preferences: tuple[Preference, ...] | None = None
    is_sampled: bool = False
    ends: frozenset[int] = frozenset()
    chosen_by: torch.Tensor | None = None

    def measure(self, ask: Ask) -> GenerationMeasurement:
        """Compare the tokens; ``ask`` says what is to be known of the logits."""
        actual, expected = _ids(self.actual), _ids(self.expected)
        found = GenerationMeasurement(
            self.precision, problem=_problem(actual, expected, self._start), is_sampled=self.is_sampled
        )
        if found.problem is not None:
            return found
        actual = _of_length(actual, expected.shape[1])
        agreeing, total = int((actual == expected)[:, self._start :].sum()), expected[:, self._start :].numel()
        found = replace(found, tokens=total, agreeing=agreeing)
        if not total:
            return found
        inside = within_text(expected, self._start, self.ends)
        scores = replace(self.logits.between(self._start - 1, expected.shape[1] - 1), counted=inside)
        if (apart := scores.distance()) is not None:
            found = replace(found, kl_nats=apart.kl_nats, forced_agreement=apart.top1, top5_agreement=apart.top5)
        if self.precision is Precision.INT8:
            is_best = scores.is_followed_by(expected[:, self._start :])
            found = replace(found, clear=scores.clear_agreement(), eager_took_best=is_best)
        if agreeing < total:
            found = replace(found, divergences=self._divergences(actual, expected, scores))
        if scores.actual is None or (agreeing == total and not self.logits_too):
            return found
        pair = OutputPair("logits", scores.actual, scores.expected, scores.expected64, scores.rounding)
        mask = None if bool(inside.all()) else inside
        return replace(found, logits=measured(Output(pair, mask, self.precision), ask))

    @property
    def _start(self) -> int:
        """The first position that was generated."""
        return max(self.prompt_length, 1)

    def _divergences(
        self, actual: torch.Tensor, expected: torch.Tensor, scores: ForcedLogits
    ) -> tuple[Divergence, ...]:
        of_backend = scores.actual
        if of_backend is not None and of_backend.shape != scores.expected.shape:
            of_backend = None
        found = []
        for row in (actual != expected).any(1).nonzero().flatten().tolist():
            position = int((actual[row] != expected[row]).nonzero()[0])
            wanted, got = int(expected[row, position]), int(actual[row, position])
            logits = scores.expected[row, position - self._start].double()
            bound = scores.bound((row, position - self._start), self.precision)
            margin = float(logits[wanted] - logits[got]) if got >= 0 else math.inf
            own = None
            if of_backend is not None and got >= 0:
                preferred = of_backend[row, position - self._start].double()
                own = float(preferred[got] - preferred[wanted])
            apart = Divergence(row, position, wanted, got, margin, bound, own)
            if self.preferences is not None:
                apart = _searched(apart, self.preferences[row])
            elif self.chosen_by is not None and got >= 0:
                apart = _processed(apart, logits, self.chosen_by[row, position - 1].double())
            found.append(apart)
        return tuple(found)


def _searched(apart: Divergence, preference: Preference) -> Divergence:
    """A divergence with the margins of whole hypotheses, for a search does not choose by single tokens."""
    return replace(
        apart,
        margin=preference.margin,
        bound=preference.bound,
        actual_margin=preference.actual_margin,
        of_hypotheses=True,
    )


def _processed(apart: Divergence, logits: torch.Tensor, scores: torch.Tensor) -> Divergence:
    """A divergence with the margin of what the logits were made into, where a penalty, say, changed either of them.

    What the backend's own logits would have been made into is not known. What scales a logit scales its rounding.
    """
    places = [apart.expected_token, apart.actual_token]
    before, changed = logits[places], scores[places]
    if bool(changed.isnan().all()):
        return apart
    after = torch.where(changed.isnan(), before, changed)
    scale = (after / before).abs().nan_to_num(1.0, posinf=1.0).clamp(min=1.0).max()
    return replace(apart, margin=float(after[0] - after[1]), bound=apart.bound * float(scale), actual_margin=None)


def _problem(actual: torch.Tensor, expected: torch.Tensor, start: int) -> FormDifference | GivenToken | None:
    """What keeps them from being compared token by token; None for nothing."""
    if actual.dim() != 2 or len(actual) != len(expected):
        return FormDifference("shape", str(tuple(actual.shape)), str(tuple(expected.shape)))
    shared = min(actual.shape[1], expected.shape[1])
    differs = actual[:, :shared] != expected[:, :shared]
    if bool(differs[:, :start].any()):
        row, position = differs[:, :start].nonzero()[0].tolist()
        return GivenToken(row, position, int(expected[row, position]), int(actual[row, position]))
    if actual.shape[1] != expected.shape[1] and not bool(differs.any()):
        return FormDifference("length", str(actual.shape[1]), str(expected.shape[1]))
    return None


def _ids(output: Any) -> torch.Tensor:
    ids: torch.Tensor = output if isinstance(output, torch.Tensor) else output.sequences
    return ids.detach().cpu()


def _of_length(ids: torch.Tensor, length: int) -> torch.Tensor:
    """Cut ids, or fill them up with -1, which is no token."""
    return pad(ids[:, :length], (0, max(length - ids.shape[1], 0)), value=-1)
