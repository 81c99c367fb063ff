"""The items whose scores a backend turned over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_cpuaccel.core.measurement.accuracy import Flip, PairedScores

_Answers = Sequence[str | None]


def flips(scores: PairedScores, places: Sequence[int], answers: _Answers, eager_answers: _Answers) -> tuple[Flip, ...]:
    """Return the items whose score moved by half of the scale or more, in the order of their places.

    The scale is 0 to 1 for scores there, else what the scores span together with 0. ``places`` are those of the items.
    """
    actual, expected = np.asarray(scores.actual), np.asarray(scores.expected)
    every = np.concatenate([actual, expected, [0.0]])
    width = max(float(every.max() - every.min()), 1.0)
    moved = np.flatnonzero(np.abs(actual - expected) >= width / 2).tolist()
    found = (Flip(places[at], scores.actual[at], scores.expected[at], answers[at], eager_answers[at]) for at in moved)
    return tuple(sorted(found, key=lambda flip: flip.item))
