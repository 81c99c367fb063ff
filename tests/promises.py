"""What every backend promises, as assertions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel, Subject
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.state import without_state
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.judge.reference import ReferenceBook
from pytest_cpuaccel.measure.parity.comparison import compare

RELATIVE_ERROR = {
    Precision.FP32: 1e-5,
    Precision.FAST_GELU: 1e-3,
    Precision.FP16: 1e-2,
    Precision.BF16: 0.1,
    Precision.INT8: 0.2,
}
"""Root mean square error over root mean square: twice the worst that redrawn tiny models have shown."""


def build(backend: Backend, subject: Subject, folder: Path) -> BuiltModel:
    """Export where the backend does, and load; calibrated on the call's own inputs where no data are given."""
    if backend.calibrates and not subject.calibration:
        subject = replace(subject, calibration=(subject.inputs,))
    if backend.export is None:
        return backend.load(subject, None)
    folder.mkdir(exist_ok=True)
    backend.export(subject, folder)
    return backend.load(subject, folder)


def assert_alike(actual: Any, expected: Any, precision: Precision) -> None:
    """Same type, names, shapes, dtypes; values as near as the precision allows. A cache may be left out."""
    assert type(actual) is type(expected)
    found = dict(tree.named_leaves(actual))
    for name, leaf in tree.named_leaves(without_state(expected)):
        if not isinstance(leaf, torch.Tensor):
            continue
        assert found[name].dtype == leaf.dtype
        assert found[name].shape == leaf.shape
        error = (found[name] - leaf).square().mean().sqrt() / leaf.square().mean().sqrt()
        assert error <= RELATIVE_ERROR[precision], f"{name}: relative error {error:.1e}"


def state(model: nn.Module) -> dict[str, Any]:
    """All that a careless backend might alter in a model."""
    config = getattr(model, "config", None)
    return {
        "tensors": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "config": config and config.to_dict() | {"attention": config._attn_implementation},
        "training": model.training,
        "forward": vars(model).get("forward"),
        "layers": [type(layer) for layer in model.modules()],
    }


def assert_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Bitwise equal tensors, and everything else equal."""
    torch.testing.assert_close(after.pop("tensors"), before.pop("tensors"), rtol=0, atol=0, equal_nan=True)
    assert after == before


def assert_parity(actual: Any, model: nn.Module, inputs: Inputs, precision: Precision) -> None:
    """The answer passes the parity mark's default tolerance for the precision."""
    references = ReferenceBook().references(model, Call("forward", inputs, actual), precision)
    found = compare(actual, references, inputs=inputs, precision=precision, budget=ParityBudget())
    assert found.outcome is Outcome.PASS, found.sentence
