"""The scores of hypotheses, by which a beam search chooses: sums of log-probabilities, each over its length."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.forced_logits import ForcedLogits
from pytest_cpuaccel.measure.parity.text_end import within_text


@dataclass(frozen=True)
class Scoring:
    """``start`` is the first generated position, ``ends`` are the tokens that end a text.

    A sum is divided by the number of generated tokens to the power of ``length_penalty``.
    """

    start: int
    ends: frozenset[int]
    length_penalty: float = 1.0

    def scores(self, logits: torch.Tensor, ids: torch.Tensor) -> list[float]:
        """Return the score of each row of ``ids`` (rows, length); ``logits[:, i]`` scores token ``i + 1``."""
        chosen = logits[:, :-1].double().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        return self._over_length(chosen, ids)

    def bounds(self, logits: ForcedLogits, ids: torch.Tensor, precision: Precision) -> list[float]:
        """Return by how much rounding in a precision can change each row's score."""
        each = torch.zeros(len(ids), ids.shape[1] - 1, dtype=torch.float64)
        for row, at in within_text(ids, self.start, self.ends).nonzero().tolist():
            place = (row, at + self.start - 1)
            each[place] = logits.bound(place, precision)
        return self._over_length(each, ids)

    def _over_length(self, values: torch.Tensor, ids: torch.Tensor) -> list[float]:
        """The sums of ``values`` (rows, length - 1) over the texts of ``ids``, each over the length of its text."""
        inside = within_text(ids, self.start, self.ends)
        sums = values[:, self.start - 1 :].masked_fill(~inside, 0).sum(1)
        return (sums / inside.sum(1).clamp(min=1) ** self.length_penalty).tolist()


@dataclass(frozen=True)
class Preference:
    """By how much eager scores its hypothesis above the backend's, what rounding explains, and the reverse.

    ``actual_margin`` is by how much the backend scores its own above eager's; None where that is not known.
    """

    margin: float
    bound: float
    actual_margin: float | None = None


def preferences(
    scoring: Scoring,
    of_eager: tuple[torch.Tensor, ForcedLogits],
    of_backend: tuple[torch.Tensor, ForcedLogits],
    precision: Precision,
) -> tuple[Preference, ...]:
    """Return the preference of each row between two hypotheses, each given as its ids and the logits over them."""
    sides = (of_eager, of_backend)
    own, others = (scoring.scores(logits.expected, ids) for ids, logits in sides)
    bounds, further = (scoring.bounds(logits, ids, precision) for ids, logits in sides)
    actual: list[list[float | None]] = [
        [None] * len(ids) if logits.actual is None else [*scoring.scores(logits.actual, ids)] for ids, logits in sides
    ]
    return tuple(
        Preference(
            own[row] - others[row],
            bounds[row] + further[row],
            None if theirs is None or ours is None else ours - theirs,
        )
        for row, (theirs, ours) in enumerate(zip(*actual, strict=True))
    )
