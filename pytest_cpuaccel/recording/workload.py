"""A workload: the calls of one test with the same method and the same shapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pytest_cpuaccel.builder.fingerprint import inputs_signature
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Call


@dataclass(frozen=True)
class Workload:
    """``label`` is for people (``forward 2x10``); all its calls should take equal time."""

    label: str
    calls: tuple[Call, ...]

    @property
    def sample(self) -> Call:
        """Return the call that represents all: the last one, whose caches are as in production."""
        return self.calls[-1]


def workloads(calls: Iterable[Call]) -> list[Workload]:
    """Group calls by method and signature, in the order of first use."""
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(f"{call.method} {inputs_signature(call.inputs)}", []).append(call)
    return [Workload(_label(group[0]), tuple(group)) for group in groups.values()]


def _label(call: Call) -> str:
    first = next(tree.tensors([call.inputs.args, dict(call.inputs.kwargs)]), torch.empty(0))
    return f"{call.method} {'x'.join(map(str, first.shape))}"
