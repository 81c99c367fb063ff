"""What a model was when a test called it first, and what somebody changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import nn

from pytest_cpuaccel.build.fingerprint import buffers_stamp, parameters_stamp
from pytest_cpuaccel.build.glance import Glance
from pytest_cpuaccel.build.source_code import is_project_code
from pytest_cpuaccel.build.state.snapshot import Snapshot, attribute_of, keeps_state_in_parameters
from pytest_cpuaccel.build.workshop import State

_MEANT_BY_PEOPLE = frozenset(
    {"config", "generation_config", "forward", "_forward_hooks", "_forward_pre_hooks", "_modules"}
)
"""Attributes of a library's module that somebody sets on purpose; others are the library's own notes."""


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
        return [*self._changed_weights(states), *self._changed_attributes(states), *self._changed_outside(states)]

    def _changed_weights(self, states: Collection[State]) -> Iterator[str]:
        if not keeps_state_in_parameters(self.model) and parameters_stamp(self.model) != self.parameters:
            yield "its parameters"
        if not any(state.names for state in states) and buffers_stamp(self.model) != self.buffers:
            yield "its buffers"

    def _changed_attributes(self, states: Collection[State]) -> Iterator[str]:
        own = {attribute for state in states for attribute in (*state.touched, *state.attributes)}
        owners = dict(self.model.named_modules())
        for owner, path in self.state.changed_paths():
            if (owner, attribute_of(path)) not in own and _counts(type(owners[owner]), path):
                yield f"'{attribute_of(path)}' of {type(owners[owner]).__name__}"

    def _changed_outside(self, states: Collection[State]) -> Iterator[str]:
        own = {name for state in states for name in (*state.outside, *state.names)}
        return (name for name in self.state.changed_outside() if name not in own)


def _counts(owner: type, path: tuple[str, ...]) -> bool:
    """Whether a change of a module's attribute is one that its calls may hang on."""
    if path[0] in ("_buffers", "_parameters"):  # told by their stamps
        return False
    if is_project_code(owner):
        return True
    return path[0] in _MEANT_BY_PEOPLE and not any(name.startswith("_") for name in path[1:])
