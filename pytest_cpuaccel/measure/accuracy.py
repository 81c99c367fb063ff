"""Scores of a backend beside eager's, of the same items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.measurement.accuracy import AccuracyMeasurement, PairedScores

Array = npt.NDArray[np.float64]


def compare_scores(actual_scores: Sequence[float], expected_scores: Sequence[float]) -> AccuracyMeasurement:
    """Return a backend's scores beside eager's on the same items, in the same order; higher is better.

    Raises:
        UsageError: no scores, different numbers of scores, or a score that is no finite number.
    """
    actual, expected = _scores(actual_scores, "the backend"), _scores(expected_scores, "eager")
    if len(actual) != len(expected):
        raise UsageError(
            f"accuracy: {len(actual)} scores from the backend and {len(expected)} from eager; "
            "score the same items, in the same order, under both"
        )
    return AccuracyMeasurement(
        items=len(actual),
        score=float(actual.mean()),
        eager_score=float(expected.mean()),
        drop=float((expected - actual).mean()),
        scores=PairedScores(tuple(actual.tolist()), tuple(expected.tolist())),
    )


def _scores(values: Sequence[float], whose: str) -> Array:
    try:
        scores = np.asarray([float(value) for value in values], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as mistake:
        raise UsageError(f"accuracy: a score of {whose} is no number ({mistake}); return one per item") from None
    if not len(scores):
        raise UsageError(f"accuracy: no scores from {whose}; give at least one item")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise UsageError(f"accuracy: item {wrong[0]} scored {scores[wrong[0]]} under {whose}; return a finite number")
    return scores
