"""Where a call's tensors are: on the CPU, or refused."""

from __future__ import annotations

import torch

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.core.inputs import Inputs


def check_devices(inputs: Inputs, of: str = "") -> None:
    """Refuse inputs that are not on the CPU; ``of`` says whose inputs they are.

    Raises:
        UsageError: names the first one and its device.
    """
    for name, leaf in tree.named_leaves([inputs.args, dict(inputs.kwargs)]):
        if isinstance(leaf, torch.Tensor) and leaf.device.type != "cpu":
            where = name.partition(".")[2]
            raise UsageError(
                f"{of}input {where!r} is on device '{leaf.device}'; backends here run on the CPU: .to('cpu')"
            )
