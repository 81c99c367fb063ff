"""The model that a test gets: called like the original, run by a backend, every call recorded."""

from __future__ import annotations

import copy
import inspect
import sys
import threading
import types
from collections.abc import Callable
from functools import cached_property, partial, partialmethod
from typing import Any

import torch
from torch import nn

from pytest_cpuaccel.builder.accepted_inputs import check_plain
from pytest_cpuaccel.builder.builder import Builder
from pytest_cpuaccel.builder.eager import check_not_asked
from pytest_cpuaccel.builder.source_code import is_project_code
from pytest_cpuaccel.builder.state.snapshot import Snapshot
from pytest_cpuaccel.core.backend import Backend
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.errors import CpuaccelError, EagerRaisesError, UsageError
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.core.tensor_hint import tensor_hint
from pytest_cpuaccel.recording.assignment import CHANGING, check_assignment, check_config, refuse_change
from pytest_cpuaccel.recording.bypass import BypassGuard
from pytest_cpuaccel.recording.call_record import CallRecord
from pytest_cpuaccel.recording.named_arguments import named_but_first
from pytest_cpuaccel.recording.parts import Parts
from pytest_cpuaccel.recording.unbound import unbound_method

_STAYS_AS_IT_IS = frozenset({"eval", "cpu", "float", "requires_grad_"})
_FORWARD = frozenset({"_call_impl", "_wrapped_call_impl", "_slow_forward"})
_OF_THE_ORIGINAL = frozenset({"save_pretrained", "push_to_hub"})
"""Methods that read the weights and return no answer."""
_OPERATORS = ("__len__", "__iter__", "__getitem__", "__contains__", "__reversed__", "__enter__", "__exit__")
"""Methods that Python looks up on the class alone."""
_COPIED = frozenset({"config", "generation_config"})


class CpuModel:
    """Stands in for ``model`` in a test: has the same class, and runs under ``backend``.

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
        """``check_refused`` gets a call that the backend refuses, and raises if the call is wrong under eager too.

        ``seen`` is called by every call that begins.
        """
        self._seen = seen
        self._model = model
        self._backend = backend
        self._guard = BypassGuard(model)
        self._parts = Parts(model, self, self._guard)
        self._one_call = threading.RLock()
        self._record = CallRecord(model, backend, builder, check_refused)
        self._is_over = False

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
        """Run a method of the model's class with the stand-in as ``self``."""
        guarded = self._guard.around(method, name)
        return guarded if self._guard.is_up else self._parts.showing(guarded)

    def _attribute(self, name: str) -> Any:
        __tracebackhide__ = True
        if hasattr(self._model, name):
            return getattr(self._model, name)
        return self._record.attribute(name)

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        original_generate: Any = self._model.generate
        args, kwargs = named_but_first(original_generate, args, kwargs)
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
                return self._record.run(method, args, kwargs)
        except EagerRaisesError as error:
            raised = error.error
        if hint := tensor_hint(Inputs(args, kwargs), raised):
            _add_note(raised, f"cpu_model: {hint}")
        raise raised  # out here, so that the user's error is not said to have come while another was handled


def _add_note(error: Exception, note: str) -> None:
    """Add a line that pytest shows below the error; its class and text stay as they are. Python 3.10 has no notes."""
    if hasattr(error, "add_note") and note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _operator(name: str) -> Callable[..., Any]:
    def operate(self: CpuModel, *args: Any) -> Any:
        __tracebackhide__ = True
        return self._run_by_class(partial(getattr(type(self._model), name), self), name)(*args)

    return operate


def calls_of(model: CpuModel) -> tuple[Call, ...]:
    """Return the calls that were recorded, in order.

    Raises:
        EagerError: the original was changed since, so the right answers are unknown.
    """
    return model._record.calls()


def start_of(model: CpuModel) -> Snapshot | None:
    """Return the original's state before the first call; None where there was no call."""
    return model._record.start


def begun_of(model: CpuModel) -> int:
    """Return how many calls were begun."""
    return model._record.begun


def raised_of(model: CpuModel) -> int:
    """Return the number of calls that raised; they can't be judged."""
    return model._record.raised


def errors_of(model: CpuModel) -> tuple[CpuaccelError, ...]:
    """Return the errors by which the backend ended calls, without tracebacks."""
    return tuple(model._record.errors)


def close(model: CpuModel) -> None:
    """Let the model refuse any further call, and forget those that it recorded."""
    model._is_over = True
    model._record.clear()
