"""One recorded use of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_cpuaccel.core.inputs import Inputs

Method = Literal["forward", "generate"]


@dataclass(frozen=True)
class Answer:
    """What a model gave: what it returned, and what it wrote to its inputs.

    ``written`` are the values that it left in its inputs where it changed them, by the input's name. ``returned`` is
    the place or the keyword of the input that it returned itself, as a model does that fills a dict.
    """

    output: Any
    written: Mapping[str, Any] = field(default_factory=dict)
    returned: int | str | None = None


@dataclass(frozen=True)
class Call:
    """One use of a model: what went in, what came out, and the generator state it ran under.

    ``inputs``, ``output`` and ``written`` are copies taken at the time of the call, so nothing that the test does to
    its tensors afterwards reaches them. ``written`` is as in :class:`Answer`. ``rng_state`` is torch's CPU generator
    state just before the call, with which a sampling ``generate()`` can be repeated.
    """

    method: Method
    inputs: Inputs
    output: Any
    rng_state: Any = None
    written: Mapping[str, Any] = field(default_factory=dict)
