"""The model that a test gets: called like the original, run by a backend, every call recorded."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_cpuaccel.build.devices import check_devices
from pytest_cpuaccel.build.original import run_eager
from pytest_cpuaccel.build.tools.upstream import reason
from pytest_cpuaccel.build.workshop import Workshop
from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.backend import Backend, BuiltModel
from pytest_cpuaccel.core.call import Call, Method
from pytest_cpuaccel.core.errors import BuildError, CpuaccelError, EagerError, UsageError
from pytest_cpuaccel.core.inputs import Inputs

_STAYS_AS_IT_IS = frozenset({"eval", "cpu", "float", "requires_grad_"})
_WOULD_CHANGE_IT = frozenset(
    {"train", "cuda", "half", "bfloat16", "double", "load_state_dict", "apply", "share_memory"}
)
_COPIED = frozenset({"config", "generation_config"})
_VERSION = attrgetter("_version")


class Recorder:
    """Stands in for ``model`` in a test: says it is of the same class, and runs under ``backend``.

    Nothing is built before the first call. Attributes come from the original, then from the build; ``config`` is
    a private copy, so that code which edits it (``pipeline`` does) leaves the original alone.
    """

    def __init__(self, model: nn.Module, backend: Backend, workshop: Workshop) -> None:
        self._model = model
        self._backend = backend
        self._workshop = workshop
        self._calls: list[Call] = []
        self._begun = 0
        self._builds: dict[tuple[Any, ...], BuiltModel] = {}
        self._latest: _Latest | None = None
        self._counted = tuple(tensor for tensor in (*model.parameters(), *model.buffers()) if not tensor.is_inference())
        self._written = self._writes()
        self._changed = False
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

    def to(self, *args: Any, **kwargs: Any) -> Recorder:
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
        if name == "generate" and hasattr(self._model, "generate"):
            return self._generate
        if name in _STAYS_AS_IT_IS:
            return lambda *_: self
        if name in _WOULD_CHANGE_IT:
            raise UsageError(f"cpu_model.{name}: a built model can't be changed; change eager_model instead")
        value = self._attribute(name)
        if isinstance(value, nn.Module) and not name.startswith("_"):
            raise UsageError(
                f"cpu_model.{name}: would run a part of the model in eager mode; "
                f"build that part alone with cpu_accelerate(eager_model.{name})"
            )
        if name in _COPIED:
            value = copy.deepcopy(value)
            self.__dict__[name] = value
        return value

    def _attribute(self, name: str) -> Any:
        __tracebackhide__ = True
        if hasattr(self._model, name):
            return getattr(self._model, name)
        for built in self._builds.values():
            if hasattr(built.attributes, name):
                return getattr(built.attributes, name)
        raise AttributeError(f"{type(self._model).__name__!r} object has no attribute {name!r}")

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        return self._run("generate", args, kwargs)

    def _run(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._is_over:
            raise UsageError("cpu_model: the test that it was given to is over; take it anew in each test")
        self._begun += 1
        self._notice_changes()
        latest = self._latest
        if latest is None or not latest.takes(method, args, kwargs):
            inputs = Inputs(tree.clone(args), tree.clone(kwargs))
            latest = _Latest(self._built(method, inputs), Call(method, inputs, None))
        rng_state = torch.get_rng_state() if method == "generate" else None
        run = latest.built.forward if method == "forward" else latest.built.generate
        try:
            with torch.no_grad():
                output = run(*args, **kwargs)  # type: ignore[misc]
        except CpuaccelError:
            raise
        except Exception as error:
            run_eager(self._model, method, latest.call.inputs)
            raise BuildError(f"{self._backend.name}: raises where eager does not: {reason(error)}") from error
        self._latest = latest.followed_by(output, rng_state)
        self._calls.append(self._latest.call)
        return output

    def _writes(self) -> int:
        """Grows whenever the original's weights are written to."""
        return sum(map(_VERSION, self._counted))

    def _notice_changes(self) -> None:
        if self._writes() != self._written:
            self._written = self._writes()
            self._builds.clear()
            self._latest = None
            self._changed = bool(self._calls)

    def _built(self, method: Method, inputs: Inputs) -> BuiltModel:
        key = (method, *_shape_key(inputs))
        built = self._builds.get(key)
        if built is None:
            check_devices(inputs)
            built = self._builds[key] = self._workshop.built(self._model, self._backend, method, inputs)
        return built


@dataclass(frozen=True)
class _Latest:
    """The latest call and the build that ran it. Another like it shares its copies: fresh memory costs page faults."""

    built: BuiltModel
    call: Call

    def takes(self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Tell whether this is a call with the same inputs."""
        inputs = self.call.inputs
        return method == self.call.method and tree.same(args, inputs.args) and tree.same(kwargs, inputs.kwargs)

    def followed_by(self, output: Any, rng_state: Any) -> _Latest:
        """Return what is the latest when a call with the same inputs returned this."""
        if rng_state is None and tree.same(output, self.call.output):
            return self
        return _Latest(self.built, replace(self.call, output=tree.clone(output), rng_state=rng_state))


def calls_of(recorder: Recorder) -> tuple[Call, ...]:
    """Return what was recorded, in order.

    Raises:
        EagerError: the original was changed since, so that nobody can tell any more what was right.
    """
    recorder._notice_changes()
    if recorder._changed:
        raise EagerError(
            "eager_model was changed after the test had called cpu_model, so those calls can't be judged; "
            "change it before the first call, or in a test of its own"
        )
    return tuple(recorder._calls)


def begun_of(recorder: Recorder) -> int:
    """Return how many calls were begun."""
    return recorder._begun


def close(recorder: Recorder) -> None:
    """Let the recorder refuse any further call."""
    recorder._is_over = True


def raised_of(recorder: Recorder) -> int:
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
