"""An observed run: what each module returned while a backend ran the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class ObservedRun:
    """``outputs`` holds, by the module's path in the eager model, what it returned; in the order of the run.

    They are copies: a model may write to what its modules returned, and what was written to is not looked at.
    ``output`` is the model's own in the same run: observing can change what a runtime fuses, and so what it answers.
    ``method`` says, after "found by", how it was observed. ``feed(path, inputs)``, where there is one, runs one module
    alone as the backend has it; it raises ``BuildError`` for a module that can't be cut out. A later call of a module
    that is called more than once is named ``path#2``. ``inputs`` holds, where they were seen, each module's arguments
    and keywords.
    """

    outputs: Mapping[str, Any]
    output: Any
    method: str = "the backend's own observation"
    feed: Callable[[str, Inputs], Any] | None = None
    inputs: Mapping[str, Inputs] | None = None
