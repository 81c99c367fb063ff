"""A model and the inputs of one call, as backends are asked to build them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Scalar, Subject
from pytest_cpuaccel.core.inputs import Inputs


def subject(
    model: nn.Module,
    threads: int = 1,
    generates: bool = False,
    options: Mapping[str, Scalar] | None = None,
    calibration: Sequence[Inputs] = (),
    **kwargs: Any,
) -> Subject:
    """The call ``model(**kwargs)``, with eager's answer to it."""
    with torch.no_grad():
        expected = tree.clone(model(**kwargs))
    return Subject(
        fresh_module=lambda: copy.deepcopy(model),
        inputs=Inputs(kwargs=kwargs),
        expected=expected,
        threads=threads,
        generates=generates,
        options=options or {},
        calibration=tuple(calibration),
    )
