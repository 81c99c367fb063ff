"""The check that the parts of a bundle, each well formed, belong together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from pytest_cpuaccel.bundles.bundle import Answers, Bundle
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import UsageError


def check_coherent(bundle: Bundle) -> None:
    """Check that a bundle is one that a failing result can have left.

    Raises:
        UsageError: names the first parts that contradict each other.
    """
    if not bundle.is_scored and not bundle.calls:
        raise UsageError("it has neither calls nor scores")
    if bundle.is_scored and bundle.calls:
        raise UsageError("it has calls and scores; a failure has either")
    _check_calls(bundle)
    _check_scores(bundle)
    _check_verdicts(bundle)
    for number, call in enumerate(bundle.calls):
        for problem in _misfits(call.answers):
            raise UsageError(f"calls[{number}].answers.{problem}")


def _check_calls(bundle: Bundle) -> None:
    if bundle.state and len(bundle.calls) < 2:
        raise UsageError(f"state names what is kept between calls, and calls has {len(bundle.calls)}")
    if len(bundle.calls) > 1 and not bundle.state:
        raise UsageError(f"calls has {len(bundle.calls)}, and state names nothing that is kept between them")
    if bundle.state and bundle.generates:
        raise UsageError("calls has a generate() among those of a model that keeps state")
    for number, call in enumerate(bundle.calls):
        if (call.method == "generate") != (call.rng_state is not None):
            raise UsageError(f"calls[{number}].random_state belongs to a generate(), and to no forward()")


def _check_scores(bundle: Bundle) -> None:
    accuracy = bundle.budgets.accuracy
    if bundle.metric is not None and bundle.scores is None and accuracy is not None and accuracy.of is None:
        raise UsageError("metric has no scores over resampled items, and budgets.accuracy.of is null")
    if bundle.scores is None:
        return
    actual, expected = bundle.scores.actual, bundle.scores.expected
    if len(actual) != len(expected) or not actual:
        raise UsageError(
            f"scores has {len(actual)} of the backend and {len(expected)} of eager; they are of one item each"
        )
    if bundle.metric is None and not all(map(math.isfinite, (*actual, *expected))):
        raise UsageError("scores holds one that is no finite number")


def _check_verdicts(bundle: Bundle) -> None:
    for verdict in bundle.verdicts:
        kind = "latency" if verdict.kind == "baseline" else verdict.kind
        if getattr(bundle.budgets, kind) is None:
            raise UsageError(f"verdicts has one of kind {verdict.kind}, and budgets.{kind} is null")
        if (verdict.kind == "accuracy") != bundle.is_scored:
            about = "scores" if verdict.kind == "accuracy" else "calls"
            raise UsageError(f"verdicts has one of kind {verdict.kind}, and there are no {about}")


def _misfits(answers: Answers) -> Iterator[str]:
    """What eager can't have answered in another precision, beside its answer as the model is."""
    expected = _tensors(answers.expected)
    for side in ("expected64", "rounding"):
        for name, tensor in _tensors(getattr(answers, side)).items():
            own = expected.get(name)
            if own is not None and own.is_floating_point() != tensor.is_floating_point():
                yield f"{side} has {_dtype(tensor)} for {name or 'output'!r}, which is {_dtype(own)} in expected"


def _tensors(answer: Any) -> dict[str, torch.Tensor]:
    output = None if answer is None else answer.output
    return {name: leaf for name, leaf in tree.named_leaves(output) if isinstance(leaf, torch.Tensor)}


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
