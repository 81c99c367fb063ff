"""One recorded use of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_cpuaccel.core.inputs import Inputs

if TYPE_CHECKING:
    from pytest_cpuaccel.core.heard import Heard

Method = Literal["forward", "generate"]


@dataclass(frozen=True)
class Answer:
    """A model's answer: its output, and the changes that it made to its inputs.

    ``written`` holds the new values of changed inputs, by the input's name. If the model returned one of its own
    inputs, such as a dict that it filled, ``returned`` is that input's position or keyword.
    """

    output: Any
    written: Mapping[str, Any] = field(default_factory=dict)
    returned: int | str | None = None


@dataclass(frozen=True)
class Call:
    """One use of a model: its inputs, its answer, and the generator state that it ran under.

    ``inputs``, ``output`` and ``written`` are copies taken at the time of the call; later changes to the test's tensors
    don't reach them. ``written`` is as in :class:`Answer`. ``rng_state`` is the state of torch's CPU generator
    just before the call; with it a sampling ``generate()`` can be repeated. ``heard`` is what the streamer of a
    ``generate()`` was told; None where it has none.
    """

    method: Method
    inputs: Inputs
    output: Any
    rng_state: Any = None
    written: Mapping[str, Any] = field(default_factory=dict)
    heard: Heard | None = None
