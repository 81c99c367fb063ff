"""A metric over all items: whose protocol it follows, and what is resampled."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.measure.metric import Answered, metric_of


class Counting:
    """Follows torchmetrics: the share of equal elements."""

    higher_is_better = True

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []

    def update(self, predictions: Any, references: Any) -> None:
        self.seen.append((predictions, references))

    def compute(self) -> Any:
        ((predictions, references),) = self.seen
        return (predictions == references).float().mean()

    def reset(self) -> None:
        self.seen = []


class Added:
    """Follows evaluate."""

    name = "exact"

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []

    def add_batch(self, *, predictions: list[Any], references: list[Any]) -> None:
        self.pairs += zip(predictions, references, strict=True)

    def compute(self) -> dict[str, float]:
        pairs, self.pairs = self.pairs, []
        return {"exact": sum(one == other for one, other in pairs) / len(pairs)}


def share(predictions: list[Any], references: list[Any]) -> float:
    return sum(one == other for one, other in zip(predictions, references, strict=True)) / len(references)


RIGHT = Answered([1, 0, 1, 0], [1, 0, 1, 0])
HALF = Answered([1, 1, 1, 1], [1, 0, 1, 0])
METRICS = {"Counting": Counting(), "exact": Added(), "share": share}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_all_kinds_agree_and_stay_as_they_are(name: str) -> None:
    given = METRICS[name]
    metric = metric_of(given)
    found, again = (metric.measured(HALF, RIGHT, 50) for _ in range(2))
    assert (found.metric, found.items) == (name, 4)
    assert (found.score, found.eager_score, found.drop) == (0.5, 1.0, 0.5)
    assert found.scores is not None
    assert set(found.scores.expected) == {1.0}
    assert len(set(found.scores.actual)) > 2
    assert found == again
    assert found.scores == metric_of(share).measured(HALF, RIGHT, 50).scores
    assert getattr(given, "seen", []) == getattr(given, "pairs", []) == []


def test_the_same_items_are_drawn_for_both() -> None:
    found = metric_of(share).measured(HALF, HALF, 50)
    assert found.scores is not None
    assert found.scores.actual == found.scores.expected


def test_tensors_are_stacked_for_an_object_and_plain_for_a_function() -> None:
    tensors = Answered([torch.tensor(1), torch.tensor(0)], [1, 0])
    assert metric_of(Counting()).measured(tensors, tensors, 0).score == 1
    assert metric_of(share).measured(tensors, tensors, 0).score == 1
    texts = Answered(["a", "b"], [["a"], ["c"]])
    assert metric_of(lambda predictions, references: len(predictions[0] + references[1][0])).value(texts) == 2


def test_a_function_of_torchmetrics_gets_tensors() -> None:
    def functional(preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (preds == target).float().mean()

    assert metric_of(functional).measured(HALF, RIGHT, 0).score == 0.5


def test_resamples_that_leave_a_metric_undefined_are_nan() -> None:
    def of_two_classes(predictions: list[Any], references: list[Any]) -> float:
        if len(set(references)) < 2:
            raise ValueError("only one class")
        return share(predictions, references)

    found = metric_of(of_two_classes).measured(HALF, RIGHT, 100)
    assert found.scores is not None
    assert any(value != value for value in found.scores.actual)


def of_sklearn(y_true: list[Any], y_pred: list[Any]) -> float:
    return share(y_pred, y_true)


class Errors(Counting):
    higher_is_better = False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Errors(), "of Errors less is better"),
        (Counting, "Counting is a class"),
        ("f1", "'f1' is no metric"),
        (None, "None is no metric"),
        (of_sklearn, "of_sklearn takes y_true first; write metric=lambda predictions, references: of_sklearn\\(ref"),
    ],
)
def test_what_is_no_metric_is_refused_in_one_line(given: object, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        metric_of(given)
    assert "\n" not in str(error.value)


def test_torchmetrics_is_understood() -> None:
    classification = pytest.importorskip("torchmetrics.classification")
    found = metric_of(classification.BinaryAccuracy()).measured(HALF, RIGHT, 20)
    assert (found.metric, found.score, found.eager_score) == ("BinaryAccuracy", 0.5, 1.0)
