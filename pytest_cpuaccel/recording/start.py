"""What a model was when a test called it first, and what somebody changed since."""

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
    """``state`` and ``glance`` are of ``model`` then, ``parameters`` and ``buffers`` digests of its weights."""

    model: nn.Module
    state: Snapshot
    parameters: str
    buffers: str
    glance: Glance

    @staticmethod
    def of(model: nn.Module) -> Start:
        """Note what a model is now."""
        parameters, buffers = parameters_stamp(model), buffers_stamp(model)
        return Start(model, Snapshot.of(model), parameters, buffers, Glance.at(model.parameters()))

    def has_weights_of_now(self) -> bool:
        """Tell whether the model's weights are now what they were then."""
        return (self.parameters, self.buffers) == (parameters_stamp(self.model), buffers_stamp(self.model))

    def glimpsed(self, states: Collection[State]) -> list[str]:
        """Return what is seen to be changed at a glance, which costs little at every call; as :meth:`changes`."""
        if not keeps_state_in_parameters(self.model) and not self.glance.is_what_it_was():
            return ["its parameters"]
        return [] if self.state.looks_the_same() else self.changes(states)

    def changes(self, states: Collection[State]) -> list[str]:
        """Return the names of what somebody changed by whatever road; ``states`` are what calls of it change."""
        return [*self._changed_weights(states), *changed_by_others(self.state, states)]

    def _changed_weights(self, states: Collection[State]) -> Iterator[str]:
        if not keeps_state_in_parameters(self.model) and parameters_stamp(self.model) != self.parameters:
            yield "its parameters"
        if not any(state.names for state in states) and buffers_stamp(self.model) != self.buffers:
            yield "its buffers"
