"""An observation: a backend's events with the samples, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from pytest_cpuaccel.core.backend import Backend, Scalar
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.measure.parity.references import References


class Doing(str, Enum):
    """The step during which an event occurred."""

    BUILD = "the first build"
    CALL = "a call"
    SAME_CALL = "the same call again"
    OTHER_BATCH = "a call of another batch size, which it accepts"
    OTHER_WEIGHTS = "a build of other weights, for 2 threads"
    FIRST_AFTER_OTHER = "a call of the first build, after that of other weights"
    SECOND_LOAD = "a second load"


class Belonging(str, Enum):
    """A thing that a backend must not alter or keep."""

    REFERENCE = "the eager model"
    INPUTS = "the inputs of a call"
    ANSWER = "an answer that it gave before"
    EXPORT = "the exported folder"
    PROCESS = "the state of the process"
    MACHINE = "what it opened"


@dataclass(frozen=True)
class Event:
    """Something that happened with the sample of that name."""

    sample: str
    doing: Doing


@dataclass(frozen=True)
class Refused(Event):
    """The backend raised BuildError with this text instead of a first build."""

    text: str


@dataclass(frozen=True)
class Failed(Event):
    """Another exception, or one at another time."""

    text: str


@dataclass(frozen=True)
class Built(Event):
    """A build for so many ``threads``, which says that it has ``read_back``.

    ``accepted`` tells whether it accepts the inputs it was made for.
    """

    threads: int
    read_back: int | None
    facts: Mapping[str, Scalar]
    accepted: bool


@dataclass(frozen=True)
class Answered(Event):
    """A call, its answer, and eager's."""

    inputs: Inputs
    actual: Any
    references: References


@dataclass(frozen=True)
class Warned(Event):
    """A call gave this warning, which fails a suite under ``-W error``."""

    text: str


@dataclass(frozen=True)
class Altered(Event):
    """Something was altered."""

    belonging: Belonging
    change: str


E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Observation:
    """The events of one backend."""

    backend: Backend
    events: tuple[Event, ...]

    def of(self, kind: type[E]) -> Iterator[E]:
        """Yield the events of one kind."""
        return (event for event in self.events if isinstance(event, kind))
