"""A beam search that came out otherwise than eager's: both hypotheses of a row are scored by both models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.measure.parity.forced_logits import ForcedLogits
from pytest_cpuaccel.measure.parity.hypotheses import Preference, Scoring, preferences

SAME_SCORE = 1e-3
"""How far a score may be from that of the search itself, relative to it: one forward call is not its steps."""


@dataclass(frozen=True)
class Hypotheses:
    """The tokens that each side returned, from the ``start`` on that was generated, as (rows, length).

    ``own`` and ``other`` are the logits of both sides over eager's tokens and over the backend's; None where there are
    none.
    """

    expected: torch.Tensor
    actual: torch.Tensor
    start: int
    own: ForcedLogits | None
    other: ForcedLogits | None
    precision: Precision


def searches(call: Call, model: nn.Module) -> bool:
    """Tell whether a ``generate()`` call is a beam search without random numbers."""
    return chooses_texts(call, model) and not samples(call, model)


def chooses_texts(call: Call, model: nn.Module) -> bool:
    """Tell whether a ``generate()`` call is a beam search, with or without random numbers."""
    return (_settings(call, model).get("num_beams") or 1) > 1


def samples(call: Call, model: nn.Module) -> bool:
    """Tell whether a ``generate()`` call draws its tokens."""
    return bool(_settings(call, model).get("do_sample"))


def ends_of(call: Call, model: nn.Module) -> frozenset[int]:
    """Return the tokens that end a text of a ``generate()`` call."""
    ends = _settings(call, model).get("eos_token_id")
    if isinstance(ends, torch.Tensor):
        ends = ends.flatten().tolist()
    return frozenset(ends if isinstance(ends, (list, tuple)) else () if ends is None else (int(ends),))


def preferences_of(call: Call, model: nn.Module, found: Any, hypotheses: Hypotheses) -> tuple[Preference, ...] | None:
    """Return each row's preference between the hypotheses; ``found`` is the output of eager's own search.

    None where the search does not choose by the scores that its logits come to, as with a repetition penalty.
    """
    penalty = _settings(call, model).get("length_penalty")
    scoring = Scoring(hypotheses.start, ends_of(call, model), float(1.0 if penalty is None else penalty))
    told = getattr(found, "sequences_scores", None)
    own, other = hypotheses.own, hypotheses.other
    if told is None or own is None or other is None or len(told) != len(hypotheses.expected):
        return None
    scores = torch.tensor(scoring.scores(own.expected, hypotheses.expected), dtype=torch.float64)
    if not torch.allclose(scores, told.detach().double().cpu(), rtol=SAME_SCORE, atol=SAME_SCORE):
        return None
    return preferences(scoring, (hypotheses.expected, own), (hypotheses.actual, other), hypotheses.precision)


def _settings(call: Call, model: nn.Module) -> dict[str, Any]:
    """What the call sets, over its configuration, over that of the model."""
    found: dict[str, Any] = {}
    for config in (getattr(model, "generation_config", None), call.inputs.kwargs.get("generation_config")):
        if config is not None:
            found |= {name: value for name, value in vars(config).items() if value is not None}
    return found | {name: value for name, value in call.inputs.kwargs.items() if value is not None}
