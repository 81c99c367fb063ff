"""The model that a test gets: called like the original, run by a backend, every call recorded."""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import types
from collections.abc import Callable
from functools import cached_property, partial, partialmethod
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.upstream import reason
from pytest_cpuaccel.builder.accepted_inputs import check_devices, check_plain
from pytest_cpuaccel.builder.build import Build
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.eager import check_not_asked, run_eager
from pytest_cpuaccel.builder.frozen_values import check_values
from pytest_cpuaccel.builder.random_generators import generators_kept
from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.kept import State
from pytest_cpuaccel.builder.state.snapshot import Snapshot
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.build_request import BuildRequest
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, EagerError, EagerRaisesError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.private_inputs import private_inputs
from pytest_cpuaccel.recording.assignment import CHANGING, check_assignment, check_config, refuse_change
from pytest_cpuaccel.recording.bypass import BypassGuard
from pytest_cpuaccel.recording.latest_call import Latest, as_returned
from pytest_cpuaccel.recording.parts import Parts
from pytest_cpuaccel.recording.start import Start
from pytest_cpuaccel.recording.unbound import unbound_method

_STAYS_AS_IT_IS = frozenset({"eval", "cpu", "float", "requires_grad_"})
_FORWARD = frozenset({"_call_impl", "_wrapped_call_impl", "_slow_forward"})
_OF_THE_ORIGINAL = frozenset({"save_pretrained", "push_to_hub"})
"""Methods that read the weights and answer nothing."""
_OPERATORS = ("__len__", "__iter__", "__getitem__", "__contains__", "__reversed__", "__enter__", "__exit__")
"""What Python looks up in a class alone."""
_COPIED = frozenset({"config", "generation_config"})
_VERSION = attrgetter("_version")


class CpuModel:
    """Stands in for ``model`` in a test: says it is of the same class, and runs under ``backend``.

    Nothing is built before the first call. Attributes come from the original, then from the build; ``config`` is
    a private copy, so that code which edits it (``pipeline`` does) leaves the original alone. Methods of the model's
    class see the stand-in as ``self``, so that what they call of it runs under the backend.
    """

    def __new__(cls, model: nn.Module, *_: Any) -> CpuModel:
        """Return one that has the operators of a container or a context where the model's class has them."""
        operators = {name: _operator(name) for name in _OPERATORS if hasattr(type(model), name)}
        kind: type[CpuModel] = type(cls.__name__, (cls,), operators) if operators else cls
        return object.__new__(kind)

    def __init__(
        self,
        model: nn.Module,
        backend: Backend,
        builder: Builder,
        check_refused: Callable[[Call], None] = lambda _: None,
        seen: Callable[[], None] = lambda: None,
    ) -> None:
        """``check_refused`` gets a call that the backend refuses, and raises what is wrong with it anywhere.

        ``seen`` is called by every call that begins.
        """
        self._check_refused = check_refused
        self._seen = seen
        self._model = model
        self._backend = backend
        self._workshop = builder
        self._calls: list[Call] = []
        self._begun = 0
        self._builds: dict[tuple[Any, ...], Build] = {}
        self._latest: Latest | None = None
        self._start: Start | None = None
        self._guard = BypassGuard(model)
        self._parts = Parts(model, self, self._guard)
        self._one_call = threading.RLock()
        self._watch(*model.parameters(), *model.buffers())
        self._changed = False
        self._changes: list[str] = []
        self._is_over = False
        builder.begin(model)

    @property
    def __class__(self) -> type:
        return type(self._model)

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise UsageError("cpu_model: its class can't be set; change eager_model")

    def __repr__(self) -> str:
        return f"<{type(self._model).__name__} under {self._backend.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's forward under the backend."""
        return self._run("forward", args, kwargs)

    forward = __call__

    def to(self, *args: Any, **kwargs: Any) -> CpuModel:
        """Stay on the CPU, in fp32.

        Raises:
            UsageError: asked for another device or dtype.
        """
        for target in (*args, *kwargs.values()):
            if isinstance(target, torch.dtype) and target is not torch.float32:
                raise UsageError(f"cpu_model.to({target}): choose a precision by backend, --cpu-backends=bf16")
            if isinstance(target, (str, torch.device)) and torch.device(target).type != "cpu":
                raise UsageError(f"cpu_model.to({str(target)!r}): backends here run on the CPU")
        return self

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        self._check_bound(sys._getframe(1))
        if name == "generate" and hasattr(self._model, "generate"):
            return self._generate
        if name in _FORWARD:
            return self.forward
        if name in _STAYS_AS_IT_IS:
            return lambda *_: self
        if name == "train":
            return self._in_mode
        if name in CHANGING:
            refuse_change(name)
        computed = inspect.getattr_static(type(self._model), name, None)
        if isinstance(computed, property) and computed.fget is not None and is_project_code(computed.fget):
            return self._run_by_class(partial(computed.fget, self), name)()
        if isinstance(computed, cached_property) and is_project_code(computed.func):
            value = self.__dict__[name] = self._run_by_class(partial(computed.func, self), name)()
            return value
        if isinstance(computed, partialmethod):
            return self._run_by_class(computed.__get__(self, type(self._model)), name)
        value = self._attribute(name)
        if name in _COPIED:
            value = self.__dict__[name] = copy.deepcopy(value)
        is_method = isinstance(value, types.MethodType) and value.__self__ is self._model
        if is_method and not hasattr(nn.Module, name) and name not in _OF_THE_ORIGINAL:
            return self._run_by_class(types.MethodType(value.__func__, self), name)
        if self._guard.is_up:
            return self if value is self._model else value
        return self._parts.showing(value) if is_method else self._parts.shown(value)

    def _check_bound(self, frame: types.FrameType) -> None:
        """Check that a method of the model's class which asks for an attribute was called as the stand-in's own."""
        model = self._model
        if not self._guard.is_up and (method := unbound_method(type(model), self, frame)):
            call = "cpu_model" if method == "forward" else f"cpu_model.{method}"
            raise UsageError(
                f"cpu_model: {type(model).__name__}.{method} was called with it as an argument, which may run past the "
                f"backend; call {call}(...)"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if "_is_over" in self.__dict__ and name != "__class__" and (name not in self.__dict__ or name == "config"):
            check_assignment(self._model, name, by_method=self._guard.is_up)
        object.__setattr__(self, name, value)

    def __reduce_ex__(self, _: Any) -> Any:
        raise UsageError("cpu_model: can't be copied or pickled; call it as it is, or copy eager_model")

    def __delattr__(self, name: str) -> None:
        if name not in self.__dict__:
            check_assignment(self._model, name, by_method=False)
        object.__delattr__(self, name)

    def _in_mode(self, mode: bool = True) -> CpuModel:
        """Stay in eval mode.

        Raises:
            UsageError: asked for training.
        """
        if mode:
            refuse_change("train")
        return self

    def _run_by_class(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        """A method of the model's class that sees the stand-in as ``self``; what it returns to a test is shown."""
        guarded = self._guard.around(method, name)
        return guarded if self._guard.is_up else self._parts.showing(guarded)

    def _attribute(self, name: str) -> Any:
        __tracebackhide__ = True
        if hasattr(self._model, name):
            return getattr(self._model, name)
        for build in self._builds.values():
            if hasattr(build.model.attributes, name):
                return getattr(build.model.attributes, name)
        raise AttributeError(f"{type(self._model).__name__!r} object has no attribute {name!r}")

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        own: Any = self.__dict__.get("generation_config")
        original: Any = vars(self._model).get("generation_config")
        if hasattr(own, "to_dict") and hasattr(original, "to_dict") and own.to_dict() != original.to_dict():
            kwargs.setdefault("generation_config", own)
        return self._run("generate", args, kwargs)

    def _run(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._is_over:
            raise UsageError("cpu_model: the test that it was given to is over; take it anew in each test")
        check_plain(args, kwargs)
        check_not_asked()
        if "config" in self.__dict__:
            check_config(self._model, self.config)
        self._seen()
        try:
            with self._one_call, self._guard.lowered():
                self._begun += 1
                return self._recorded(method, args, kwargs)
        except EagerRaisesError as error:
            raised = error.error
        raise raised  # out here, so that the user's error is not said to have come while another was handled

    def _recorded(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
        output = self._answer(latest, args, kwargs)
        written = latest.written(self._model, args, kwargs)
        self._latest = latest.followed_by(output, rng_state, written)
        if self._latest is not latest:
            with generators_kept():
                check_values(self._latest.call, self._model, self._latest.build, self._backend)
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
        run = built.forward if call.method == "forward" else built.generate
        try:
            with torch.no_grad():
                output = run(*args, **kwargs)  # type: ignore[misc]
        except CpuaccelError:
            raise
        except Exception as error:
            raised = error
        else:
            return as_returned(output, latest.build.returned, args, kwargs) if call.method == "forward" else output
        with generators_kept():
            run_eager(self._model, call.method, call.inputs)
        raise BuildError(f"{self._backend.name}: raises where eager does not: {reason(raised)}") from raised

    def _begin(self) -> None:
        """Note what the original is now: the calls from here on are judged by that."""
        model = self._model
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
            self._watch(*self._model.parameters(), *self._model.buffers())
            return
        if any(state.names for state in self._states):  # whose buffers calls of the original change too, none of ours
            self._watch(*self._model.parameters())
            return
        self._workshop.begin(self._model)
        self._builds.clear()
        self._latest = None
        self._changed = bool(self._calls)
        self._begin()

    @property
    def _states(self) -> list[State]:
        """What calls of the model change, as it was found for each build."""
        return [build.state for build in self._builds.values()]

    def _built(self, method: Method, inputs: Inputs) -> Build:
        key = (method, *_shape_key(inputs))
        build = self._builds.get(key)
        if build is None:
            check_devices(inputs)
            try:
                build = self._builds[key] = self._workshop.build(
                    BuildRequest(self._model, self._backend, method, inputs)
                )
            except BuildError as error:
                refusal = error
            else:
                return build
            with generators_kept():
                self._check_refused(Call(method, inputs, None))
            raise refusal
        return build


def _operator(name: str) -> Callable[..., Any]:
    def operate(self: CpuModel, *args: Any) -> Any:
        __tracebackhide__ = True
        return self._run_by_class(partial(getattr(type(self._model), name), self), name)(*args)

    return operate


def calls_of(recorder: CpuModel) -> tuple[Call, ...]:
    """Return what was recorded, in order.

    Raises:
        EagerError: the original was changed since, so that nobody can tell any more what was right.
    """
    if recorder._start is not None:
        recorder._notice_changes()
    changed = recorder._changes
    if recorder._calls and recorder._start is not None:
        changed = [*changed, *recorder._start.changes(recorder._states)]
    if recorder._changed or changed:
        raise EagerError(
            "eager_model was changed after the test had called cpu_model, so those calls can't be judged; "
            f"change it before the first call, or in a test of its own{f' ({changed[0]})' if changed else ''}"
        )
    return tuple(recorder._calls)


def start_of(recorder: CpuModel) -> Snapshot | None:
    """Return the original's state before the first call; None where there was no call."""
    return None if recorder._start is None else recorder._start.state


def begun_of(recorder: CpuModel) -> int:
    """Return how many calls were begun."""
    return recorder._begun


def close(recorder: CpuModel) -> None:
    """Let the recorder refuse any further call, and forget those that it recorded."""
    recorder._is_over = True
    recorder._latest = recorder._start = None
    recorder._calls.clear()
    recorder._builds.clear()


def raised_of(recorder: CpuModel) -> int:
    """Return how many calls raised and so left nothing to judge."""
    return recorder._begun - len(recorder._calls)


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
