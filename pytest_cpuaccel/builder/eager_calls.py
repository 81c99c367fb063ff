"""The eager model called before a build: what it answers, and what state its calls change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from torch import nn

from pytest_cpuaccel.builder.compiled_models import note_scripted_functions
from pytest_cpuaccel.builder.eager import call_eager
from pytest_cpuaccel.builder.example_record import Figures, alike, figures
from pytest_cpuaccel.builder.glance import Glance
from pytest_cpuaccel.builder.random_generators import seeded
from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.builder.state.lost import lost_state
from pytest_cpuaccel.builder.state.snapshot import Snapshot, untouched
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.call import Answer
from pytest_cpuaccel.core.errors import EagerError
from pytest_cpuaccel.core.inputs import Inputs


@dataclass(frozen=True)
class EagerCalls:
    """``answer`` is that of the first call, ``state`` what a call changes, ``start`` what the model is left in."""

    answer: Answer
    state: State
    start: Snapshot


def call_twice(model: nn.Module, inputs: Inputs) -> EagerCalls:
    """Call the eager model twice with seeded random numbers, and leave it in the state that it was in.

    What a library's class sets in a first call alone, such as hooks or a table, is state only where the answer changes.
    """

    def call() -> Answer:
        with seeded():
            return call_eager(model, "forward", inputs)

    with untouched(model) as start:
        imported = set(sys.modules)
        note_scripted_functions(model, start.scripted)
        glance, versions = Glance.at(model.parameters()), _versions(model)
        answer = tree.clone(call())
        # All weights are looked at once, after the second call.
        is_quiet = glance.is_what_it_was() and _versions(model) == versions
        touched, written = start.changed_attributes(), [] if is_quiet else start.changed_parameters()
        outside = start.changed_outside()
        between = Snapshot.of(model, None if written else start.parameters)
        note_scripted_functions(model, between.scripted)
        again = call()
        _check_imports(model, between.changed_outside(), set(sys.modules) - imported)
        owners = dict(model.named_modules())
        rewritten = between.changed_parameters()
        start.settle(bool(written or rewritten or start.changed_parameters_outside()))
        attributes = dict.fromkeys((*between.changed_attributes(), *rewritten))
        touched += written
        is_other = not alike(figures(answer.output), figures(again.output))
        attributes |= dict.fromkeys(item for item in touched if is_other or is_project_code(type(owners[item[0]])))
        names = [f"'{name}' of {type(owners[owner]).__name__}" for owner, name in attributes]
        names += dict.fromkeys((*outside, *between.changed_outside()))
        if is_other:
            start.restore()
            _check_restored(model, call, figures(answer.output))
    state = State(tuple(names), tuple(attributes), frozenset(touched), frozenset(outside), start.is_whole)
    return EagerCalls(answer, state, start.settled())


def _versions(model: nn.Module) -> list[int]:
    """How often torch's own operations wrote to each parameter."""
    return [0 if item.is_inference() else item._version for item in model.parameters()]


def _check_imports(model: nn.Module, changed: Iterable[str], imported: Collection[str]) -> None:
    """Check that no module keeps state of which nobody knows how it began, since the first call imported it.

    Raises:
        EagerError: one does.
    """
    for name in changed:
        if (module := name.rpartition(" of ")[2]) in imported:
            raise EagerError(
                f"{type(model).__name__} keeps state in {name}, which its first call imports, so that no "
                f"second run begins where the first did; import {module} at the top of the file"
            )


def _check_restored(model: nn.Module, call: Callable[[], Answer], first: Figures) -> None:
    """Check of a model, given the state that it had before a call, that it answers as it did then.

    Raises:
        EagerError: it doesn't, and keeps state that can't be put back.
    """
    if alike(figures(call().output), first):
        return
    if lost := lost_state(model, call):
        raise EagerError(
            f"{type(model).__name__} keeps state from call to call in {', '.join(lost)}, which can't be "
            "put back, so that no second run begins where the first did; keep it in a buffer or an attribute"
        )
