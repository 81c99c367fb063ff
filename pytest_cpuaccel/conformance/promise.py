"""A promise: a sentence about backends, and the check that finds breaches in an observation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_cpuaccel.conformance.observation import Observation


class BrokenPromiseError(AssertionError):
    """A backend does not keep a promise; the text states the promise and the observation."""


@dataclass(frozen=True)
class Promise:
    """``breaches`` yields the breaches of the promise: a sentence each, with the evidence below it."""

    name: str
    statement: str
    breaches: Callable[[Observation], Iterator[str]]

    def __str__(self) -> str:
        return self.name

    def check(self, observation: Observation) -> None:
        """Check that a backend keeps this promise.

        Raises:
            BrokenPromiseError: the backend does not keep it.
        """
        found = list(self.breaches(observation))
        if found:
            raise BrokenPromiseError("\n".join([f"{observation.backend.name}: {self.statement}", *found]))
