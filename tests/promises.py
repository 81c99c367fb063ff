"""What every backend promises, as assertions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.conformance.build import build
from pytest_cpuaccel.conformance.model_snapshot import ModelSnapshot, changes
from pytest_cpuaccel.conformance.model_snapshot import snapshot_of as state
from pytest_cpuaccel.conformance.output_structure import form_faults
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.budget import ParityBudget
from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.kv_cache import without_state
from pytest_cpuaccel.core.precision import Precision
from pytest_cpuaccel.core.verdict import Outcome
from pytest_cpuaccel.evaluation.comparison import compare
from pytest_cpuaccel.evaluation.reference_cache import ReferenceCache
from pytest_cpuaccel.judge.parity.terms import Terms

__all__ = ["assert_alike", "assert_parity", "assert_same_state", "build", "state"]

RELATIVE_ERROR = {
    Precision.FP32: 1e-5,
    Precision.FAST_GELU: 1e-3,
    Precision.FP16: 1e-2,
    Precision.BF16: 0.1,
    Precision.INT8: 0.2,
}
"""Root mean square error over root mean square: twice the worst that redrawn tiny models have shown."""


def assert_alike(actual: Any, expected: Any, precision: Precision) -> None:
    """Same type, names, shapes, dtypes; values as near as the precision allows. A cache may be left out."""
    assert not list(form_faults(actual, expected))
    found = dict(tree.named_leaves(actual))
    for name, leaf in tree.named_leaves(without_state(expected)):
        if isinstance(leaf, torch.Tensor):
            error = (found[name] - leaf).abs().square().mean().sqrt() / leaf.abs().square().mean().sqrt()
            assert error <= RELATIVE_ERROR[precision], f"{name}: relative error {error:.1e}"


def assert_same_state(before: ModelSnapshot, after: ModelSnapshot) -> None:
    """Bitwise equal tensors, and everything else equal."""
    assert not list(changes(before, after))


def assert_parity(actual: Any, model: nn.Module, inputs: Inputs, precision: Precision) -> None:
    """The answer passes the parity mark's default tolerance for the precision."""
    references = ReferenceCache().references(model, Call("forward", inputs, actual), precision)
    found = compare(actual, references, inputs, Terms(ParityBudget(), precision))
    assert found.outcome is Outcome.PASS, found.sentence
