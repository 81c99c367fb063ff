"""The state of a model at a test's first call, and the changes since."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import nn

from pytest_cpuaccel.builder.fingerprint import buffers_stamp, parameters_stamp
from pytest_cpuaccel.builder.glance import Glance
from pytest_cpuaccel.builder.state.kept import State, changed_by_others
from pytest_cpuaccel.builder.state.snapshot import Snapshot, keeps_state_in_parameters


@dataclass(frozen=True)
class Start:
    """A ``model`` at its first call; ``parameters`` and ``buffers`` are digests of its weights."""

    model: nn.Module
    state: Snapshot
    parameters: str
    buffers: str
    glance: Glance

    @staticmethod
    def of(model: nn.Module) -> Start:
        """Record the state of a model now."""
        parameters, buffers = parameters_stamp(model), buffers_stamp(model)
        return Start(model, Snapshot.of(model), parameters, buffers, Glance.at(model.parameters()))

    def has_weights_of_now(self) -> bool:
        """Tell whether the model's weights are still those of the first call."""
        return (self.parameters, self.buffers) == (parameters_stamp(self.model), buffers_stamp(self.model))

    def glimpsed(self, states: Collection[State]) -> list[str]:
        """Return the changes that a cheap check finds, made at every call; the result is as of :meth:`changes`."""
        if not keeps_state_in_parameters(self.model) and not self.glance.is_what_it_was():
            return ["its parameters"]
        return [] if self.state.looks_the_same() else self.changes(states)

    def changes(self, states: Collection[State]) -> list[str]:
        """Return the names of all values that somebody changed; ``states`` are those that calls of the model change."""
        return [*self._changed_weights(states), *changed_by_others(self.state, states)]

    def _changed_weights(self, states: Collection[State]) -> Iterator[str]:
        if not keeps_state_in_parameters(self.model) and parameters_stamp(self.model) != self.parameters:
            yield "its parameters"
        if not any(state.names for state in states) and buffers_stamp(self.model) != self.buffers:
            yield "its buffers"
