"""One recorded use of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pytest_cpuaccel.core.inputs import Inputs

Method = Literal["forward", "generate"]


@dataclass(frozen=True)
class Call:
    """One use of a model: what went in, what came out, and the generator state it ran under.

    ``inputs`` and ``output`` are copies taken at the time of the call, so nothing that the test does to its
    tensors afterwards reaches them. ``rng_state`` is torch's CPU generator state just before the call, with
    which a sampling ``generate()`` can be repeated.
    """

    method: Method
    inputs: Inputs
    output: Any
    rng_state: Any = None
