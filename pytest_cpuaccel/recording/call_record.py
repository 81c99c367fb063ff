"""The calls that a test makes of a model, each with its output, and the builds that ran them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.slips import packages_of
from pytest_cpuaccel.backends.toolkit.upstream import build_error, reason
from pytest_cpuaccel.builder.accepted_inputs import check_devices
from pytest_cpuaccel.builder.build import Build
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.eager import run_eager
from pytest_cpuaccel.builder.frozen_values import check_values
from pytest_cpuaccel.builder.random_generators import generators_kept
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.builder.state.snapshot import Snapshot
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, EagerError, retold
from pytest_cpuaccel.core.heard import Listener
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.recording.latest_call import Latest, as_returned
from pytest_cpuaccel.recording.start import Start

_VERSION = attrgetter("_version")


@dataclass(eq=False)
class CallRecord:
    """Runs calls of ``model`` under ``backend``, and keeps those that returned; ``begun`` counts all.

    ``errors`` are those by which the backend ended calls, without the frames of a traceback.
    ``check_refused`` gets a call that the backend refuses, and raises if the call is wrong under eager too.
    """

    model: nn.Module
    backend: Backend
    builder: Builder
    check_refused: Callable[[Call], None]
    begun: int = 0
    errors: list[CpuaccelError] = field(default_factory=list)
    _calls: list[Call] = field(default_factory=list)
    _builds: dict[tuple[Any, ...], Build] = field(default_factory=dict)
    _latest: Latest | None = None
    _start: Start | None = None
    _changed: bool = False
    _changes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._watch(*self.model.parameters(), *self.model.buffers())
        self.builder.begin(self.model)

    @property
    def start(self) -> Snapshot | None:
        """Return the original's state before the first call; None where there was no call."""
        return None if self._start is None else self._start.state

    @property
    def raised(self) -> int:
        """Return the number of calls that raised; they can't be judged."""
        return self.begun - len(self._calls)

    def calls(self) -> tuple[Call, ...]:
        """Return what was recorded, in order.

        Raises:
            EagerError: the original was changed since, so the right answers are unknown.
        """
        if self._start is not None:
            self._notice_changes()
        changed = self._changes
        if self._calls and self._start is not None:
            changed = [*changed, *self._start.changes(self._states)]
        if self._changed or changed:
            raise EagerError(
                "eager_model was changed after the test had called cpu_model, so those calls can't be judged; "
                f"change it before the first call, or in a test of its own{f' ({changed[0]})' if changed else ''}"
            )
        return tuple(self._calls)

    def attribute(self, name: str) -> Any:
        """Return an attribute that a build has beside the original's.

        Raises:
            AttributeError: none has it.
        """
        __tracebackhide__ = True
        for build in self._builds.values():
            if hasattr(build.model.attributes, name):
                return getattr(build.model.attributes, name)
        raise AttributeError(f"{type(self.model).__name__!r} object has no attribute {name!r}")

    def clear(self) -> None:
        """Forget the calls and their builds."""
        self._latest = self._start = None
        self._calls.clear()
        self._builds.clear()

    def run(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call under the backend, record it, and return its output.

        Raises:
            EagerError: the original itself raises on it, or was changed.
            BuildError: the backend can't build the model for it, or raises where eager does not.
        """
        try:
            return self._run(method, args, kwargs)
        except BuildError as error:
            self.errors.append(retold(error, str(error)))
            raise

    def _run(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.begun += 1
        if self._start is None:
            self._begin()
        else:
            self._notice_changes()
            self._look(self._start)
        latest = self._latest
        if latest is None or not latest.takes(method, args, kwargs):
            inputs = private_inputs(Inputs(args, kwargs))
            latest = Latest(self._built(method, inputs), Call(method, inputs, None))
        rng_state = torch.get_rng_state() if method == "generate" else None
        streamer = kwargs.get("streamer") if method == "generate" else None
        listener = None if streamer is None else Listener(streamer)
        output = self._answer(latest, args, kwargs if listener is None else {**kwargs, "streamer": listener})
        written = latest.written(self.model, args, kwargs)
        self._latest = latest.followed_by(output, rng_state, written)
        if listener is not None:
            self._latest = replace(self._latest, call=replace(self._latest.call, heard=listener.heard))
        if self._latest is not latest:
            with generators_kept():
                check_values(self._latest.call, self.model, self._latest.build, self.backend)
        self._calls.append(self._latest.call)
        if latest.build.state.names and latest.build.returned is None:  # it may be that state, and the test write to it
            return tree.clone(output)
        return output

    def _look(self, start: Start) -> None:
        """Note a change that somebody may undo before the test ends."""
        if self._calls:
            self._changes += start.glimpsed(self._states)

    def _answer(self, latest: Latest, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        built, call = latest.build.model, latest.call
        try:
            with torch.no_grad():
                output = built.method(call.method)(*args, **kwargs)
        except CpuaccelError:
            raise
        except Exception as error:
            raised = error
        else:
            return as_returned(output, latest.build.returned, args, kwargs) if call.method == "forward" else output
        with generators_kept():
            run_eager(self.model, call.method, call.inputs)
        text = f"{self.backend.name}: raises where eager does not: {reason(raised)}"
        raise build_error(raised, text, packages_of(self.backend)) from raised

    def _begin(self) -> None:
        """Note the state of the original now: later calls are judged by it."""
        model = self.model
        self._start = Start.of(model)
        self._watch(*model.parameters(), *model.buffers())

    def _watch(self, *tensors: torch.Tensor) -> None:
        self._watched = tuple(tensor for tensor in tensors if not tensor.is_inference())
        self._written = self._writes()

    def _writes(self) -> int:
        """Grows whenever the original's weights are written to."""
        return sum(map(_VERSION, self._watched))

    def _notice_changes(self) -> None:
        if self._writes() == self._written:
            return
        if self._start is not None and self._start.has_weights_of_now():  # written to and put back
            self._watch(*self.model.parameters(), *self.model.buffers())
            return
        if any(state.names for state in self._states):  # whose buffers calls of the original change too, none of ours
            self._watch(*self.model.parameters())
            return
        self.builder.begin(self.model)
        self._builds.clear()
        self._latest = None
        self._changed = bool(self._calls)
        self._begin()

    @property
    def _states(self) -> list[State]:
        """Return the state that calls of the model change, as found for each build."""
        return [build.state for build in self._builds.values()]

    def _built(self, method: Method, inputs: Inputs) -> Build:
        key = (method, *_shape_key(inputs))
        build = self._builds.get(key)
        if build is None:
            check_devices(inputs)
            try:
                build = self._builds[key] = self.builder.build(BuildRequest(self.model, self.backend, method, inputs))
            except BuildError as error:
                refusal = error
            else:
                return build
            with generators_kept():
                self.check_refused(Call(method, inputs, None))
            raise refusal
        return build


def _shape_key(inputs: Inputs) -> tuple[Any, ...]:
    """A cheap key under which two calls may share a build: equal names, shapes, dtypes and plain values."""
    return (
        *(_leaf_key(value) for value in inputs.args),
        *((name, _leaf_key(value)) for name, value in inputs.kwargs.items()),
    )


def _leaf_key(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype, value.device
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype
    if isinstance(value, (dict, list, tuple)):
        return tuple((name, _leaf_key(leaf)) for name, leaf in tree.named_leaves(value))
    return (type(value), value) if isinstance(value, (bool, int, float, str)) else type(value)
